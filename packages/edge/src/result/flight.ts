import { ElfinError } from '@elfin/core';
import { asElfinError } from '../http/errors.ts';
import { type Claim, isClaim, isFinal, type JobRecord, type Jobs, recordError } from './jobs.ts';

export interface FlightOptions {
  readonly jobs: Jobs;
  /**
   * Whether requests of this process may share one promise. In workerd they may not: I/O belongs to the request that
   * started it, so there every request goes through the record.
   */
  readonly shared?: boolean;
  /** Milliseconds between two looks at work that another process does: first and longest. Default 40 and 1000. */
  readonly poll?: readonly [number, number];
  /** Told of work that outlives its request, so that a shutdown can wait for it. */
  readonly track?: (work: Promise<unknown>) => void;
}

export interface FlightRequest<T> {
  readonly id: string;
  /** Runs once for all who wait. Its result is shared as it is. */
  readonly work: (claim: Claim) => Promise<T>;
  /** Fetches what another process has finished; undefined where it is not to be found, and the work is then done here. */
  readonly collect: () => Promise<T | undefined>;
  /** A queue's consumer, which may take what is queued. */
  readonly queued?: boolean;
  /** Ends the waiting, and where nothing is shared the work itself. */
  readonly signal?: AbortSignal;
  /** Once it fires, the work is left to a queue's consumer: at the next chance its record becomes `queued`. */
  readonly handover?: AbortSignal;
  /** Sends that work to the queue, as soon as its record lets a consumer have it. */
  readonly enqueue?: () => Promise<void>;
  /** Called once the record is there, whoever wrote it: from then on a client may be sent to it. */
  readonly onRecord?: () => void;
}

interface Flight<T> {
  readonly result: Promise<T>;
  /** Settles when the record is there, or with the result where it never came to one. */
  readonly recorded: Promise<unknown>;
}

/**
 * Single flight: of all requests for one thing one does the work, in this process and across all that share the job
 * store. The others get its result or its error.
 */
export function createFlight<T>(options: FlightOptions) {
  const { jobs, shared = true, poll: [shortest, longest] = [40, 1000], track } = options;
  const flights = new Map<string, Flight<T>>();

  /** Errors: STORE_FAILED where the queue does not take it, after which any request may begin it anew. */
  async function toQueue(claim: Claim, enqueue: FlightRequest<T>['enqueue']): Promise<void> {
    await claim.end('queued');
    // Cancelled in the last moment: there is nothing left to be done.
    if (claim.signal.aborted) throw asElfinError(claim.signal.reason);
    try {
      await enqueue?.();
    } catch (cause) {
      const error = new ElfinError('STORE_FAILED', 'The queue did not take the work; try again soon.', { cause });
      await claim.end('failed', error).catch(() => undefined);
      throw error;
    }
  }

  async function lead(claim: Claim, { work, handover, enqueue }: FlightRequest<T>): Promise<T> {
    let result: T;
    try {
      if (handover?.aborted) throw handover.reason;
      result = await work(claim);
    } catch (thrown) {
      if (handover?.aborted && !claim.signal.aborted) {
        await toQueue(claim, enqueue);
        throw new ElfinError('PENDING', 'The work was left to the queue.');
      }
      const error = claim.signal.aborted ? asElfinError(claim.signal.reason) : asElfinError(thrown);
      await claim.end(error.code === 'JOB_CANCELLED' ? 'cancelled' : 'failed', error).catch(() => undefined);
      throw error;
    }
    // The result is there already; a record that cannot be closed expires by itself.
    await claim.end('done').catch(() => undefined);
    return result;
  }

  async function pause(wait: number, signal: AbortSignal | undefined): Promise<void> {
    if (signal?.aborted) throw asElfinError(signal.reason);
    await new Promise<void>((resolve, reject) => {
      const stop = () => {
        clearTimeout(timer);
        reject(asElfinError(signal?.reason));
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', stop);
        resolve();
      }, wait);
      signal?.addEventListener('abort', stop, { once: true });
    });
  }

  async function run(request: FlightRequest<T>): Promise<T> {
    const { id, collect, queued = false, signal, onRecord } = request;
    let wait = shortest;
    for (let seen: JobRecord | undefined; ; ) {
      const outcome = await jobs.claim(id, { queued });
      onRecord?.();
      if (isClaim(outcome)) {
        const made = outcome.justDone ? await collect() : undefined;
        if (made === undefined) return lead(outcome, request);
        await outcome.end('done').catch(() => undefined);
        return made;
      }
      seen = outcome;
      // Somebody else has it: look again, ever more seldom, and never in step with the other waiters.
      while (!isFinal(seen.state)) {
        await pause(wait * (0.5 + Math.random()), signal);
        wait = Math.min(longest, wait * 1.6);
        const next = await jobs.get(id);
        if (next === undefined) break;
        seen = next;
        // A holder that died leaves an expired lease; `claim` takes it over.
      }
      if (seen.state === 'failed' || seen.state === 'cancelled') throw recordError(seen);
      const found = seen.state === 'done' ? await collect() : undefined;
      if (found !== undefined) return found;
    }
  }

  /** Work that goes on whoever leaves. */
  function begin({ signal: _, ...request }: FlightRequest<T>): Flight<T> {
    let onRecord = () => {};
    const begun = new Promise<void>((resolve) => {
      onRecord = resolve;
    });
    const result = run({ ...request, onRecord }).finally(() => flights.delete(request.id));
    // Whoever waits sees the failure; a flight that everybody has left must not end the process.
    const settled = result.catch(() => undefined);
    const flight = { result, recorded: Promise.race([begun, settled]) };
    flights.set(request.id, flight);
    track?.(settled);
    return flight;
  }

  return {
    /** Joins the work or starts it. Errors: what the work throws, JOB_CANCELLED, STORE_FAILED, PENDING. */
    join(request: FlightRequest<T>): Promise<T> {
      if (!shared) return run(request);
      const flight = flights.get(request.id) ?? begin(request);
      if (request.onRecord) void flight.recorded.then(request.onRecord);
      return flight.result;
    },
    /** Work under way in this process. */
    get size(): number {
      return flights.size;
    },
  };
}

/** Resolves to the promise's value, or to `late` after `ms`; the promise goes on. */
export async function within<T, L>(promise: Promise<T>, ms: number, late: L): Promise<T | L> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<L>((resolve) => {
    timer = setTimeout(() => resolve(late), Math.max(0, ms));
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

/** A signal that fires after `ms` with DEADLINE_EXCEEDED, or with `signal`. */
export function deadlineSignal(ms: number, ...signals: readonly (AbortSignal | undefined)[]): AbortSignal {
  const controller = new AbortController();
  const timer = setTimeout(
    () => controller.abort(new ElfinError('DEADLINE_EXCEEDED', 'The work took longer than it may.')),
    ms,
  );
  (timer as { unref?: () => void }).unref?.();
  return AbortSignal.any([controller.signal, ...signals.filter((signal) => signal !== undefined)]);
}
