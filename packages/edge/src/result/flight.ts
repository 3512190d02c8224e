import { ElfinError } from '@elfin/core';
import { asElfinError } from '../http/errors.ts';
import { type Claim, isClaim, isFinal, type JobRecord, type Jobs, recordError } from './jobs.ts';
import { pause, within } from './waiting.ts';

export interface FlightOptions {
  readonly jobs: Jobs;
  /**
   * Whether requests of this process may share one promise. In workerd they may not: I/O belongs to the request that
   * started it, so there every request goes through the record.
   */
  readonly shared?: boolean;
  /** Milliseconds between two looks at work that another process does: first and longest. Default 40 and 1000. */
  readonly poll?: readonly [number, number];
  /** Told of records that cannot be written. */
  readonly onTrouble?: (error: unknown) => void;
  /** Told of work that outlives its request, so that a shutdown can wait for it. */
  readonly track?: (work: Promise<unknown>) => void;
  /** Told of what is written behind a result. */
  readonly trackWrite?: (work: Promise<unknown>) => void;
}

export interface FlightRequest<T> {
  readonly id: string;
  /** Runs once for all who wait. Its result is shared as it is. */
  readonly work: (claim: Claim) => Promise<T>;
  /**
   * Fetches what another process has finished; undefined where it is not to be found, and the work is then done here. `awaited`:
   * it was finished while this request waited, and not some time before.
   */
  readonly collect: (awaited: boolean) => Promise<T | undefined>;
  /** What is written behind an answer: the record says `done` once it is. Its failure is nobody's. */
  readonly settle?: ((result: T) => Promise<unknown>) | undefined;
  /** Takes what goes on behind an answer; where it gives a promise, the answer waits for that. */
  readonly detach?: ((work: Promise<unknown>) => Promise<unknown> | undefined) | undefined;
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

/** Milliseconds that a record may take to be written; then the work is begun without. */
const RECORD_MS = 3_000;

/** A claim that no record holds: nobody else knows of it, so nobody takes it over or cancels it. */
const unrecorded = (id: string): Claim => ({
  id,
  isNew: false,
  justDone: false,
  signal: new AbortController().signal,
  progress() {},
  async end() {},
});

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
  const { jobs, shared = true, poll: [shortest, longest] = [40, 1000], track, trackWrite, onTrouble } = options;
  const flights = new Map<string, Flight<T>>();

  /** The work, also where the records cannot be reached: then this process does it alone, and others may do it as well. */
  async function claim(id: string, how: { readonly queued: boolean; readonly over: boolean }) {
    const late = Symbol('late');
    const claiming = jobs.claim(id, how);
    const outcome = await within(claiming, RECORD_MS, late).catch((error: unknown) => {
      onTrouble?.(error);
      return late;
    });
    if (outcome !== late) return outcome as Awaited<typeof claiming>;
    claiming.then(
      (claimed) => {
        if (isClaim(claimed)) return claimed.end('failed', new ElfinError('ABORTED', 'The record came too late.'));
      },
      () => undefined,
    );
    return unrecorded(id);
  }

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

  /**
   * Writes what is to be kept, and then the record's end: the result is there already, so none of it fails an answer, and a record
   * that cannot be closed expires by itself.
   */
  async function putBehind(result: T, request: FlightRequest<T>, end: () => Promise<void>): Promise<void> {
    const { settle, detach } = request;
    const write = async () => {
      await settle?.(result);
      await end();
    };
    const writing = write().catch(() => undefined);
    trackWrite?.(writing);
    await (detach ? detach(writing) : writing);
  }

  async function take(found: T, request: FlightRequest<T>): Promise<T> {
    await putBehind(found, request, async () => {});
    return found;
  }

  async function lead(claim: Claim, request: FlightRequest<T>): Promise<T> {
    const { work, handover, enqueue } = request;
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
    await putBehind(result, request, () => claim.end('done'));
    return result;
  }

  async function run(request: FlightRequest<T>): Promise<T> {
    const { id, collect, queued = false, signal, onRecord } = request;
    let wait = shortest;
    let over = queued;
    for (let seen: JobRecord | undefined; ; ) {
      const outcome = await claim(id, { queued, over });
      onRecord?.();
      if (isClaim(outcome)) {
        const made = outcome.justDone ? await collect(true) : undefined;
        if (made === undefined) return lead(outcome, request);
        await putBehind(made, request, () => outcome.end('done'));
        return made;
      }
      seen = outcome;
      if (seen.state === 'done') {
        // Finished before anybody here asked: most often there is nothing left to do.
        over = true;
        const found = await collect(false);
        if (found !== undefined) return take(found, request);
        continue;
      }
      over = true;
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
      const found = seen.state === 'done' ? await collect(true) : undefined;
      if (found !== undefined) return take(found, request);
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
