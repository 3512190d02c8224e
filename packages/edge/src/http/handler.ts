import { ElfinError, isElfinError, sha256 } from '@elfin/core';
import { type createFlight, deadlineSignal, type FlightRequest, within } from '../result/flight.ts';
import type { RateLimit } from '../result/gate.ts';
import type { Finished, Interim, Pipeline } from '../result/pipeline.ts';
import { HOP_HEADER } from '../source/http.ts';
import { parseTransform, type Transform } from '../url/parse.ts';
import { parseCredentials, type Signer } from '../url/sign.ts';
import { type Plan, type Presets, planTransform } from '../url/transform.ts';
import type { UnsignedGate } from '../url/unsigned.ts';
import { type AnswerContext, answerAccepted, answerError, answerFinished, answerInterim, jobUrl } from './answer.ts';
import { asElfinError } from './errors.ts';
import type { CacheState } from './headers.ts';
import type { Metrics } from './metrics.ts';
import { acceptBucket, parsePrefer } from './negotiate.ts';
import { continueTrace } from './trace.ts';

/** Work for a queue's consumer; at most some kilobytes, since it names the image and does not carry it. */
export interface QueueMessage {
  readonly v: 1;
  readonly id: string;
  /** Canonical source, options and variant: what is to be made. */
  readonly plan: Plan;
}

/**
 * What becomes of work that takes longer than its request may: `process`, it goes on here (Node). `queue`, it is handed to
 * a consumer (Cloudflare Queues, SQS), since an isolate's work ends with its response. `none`: the request waits for it.
 */
export type Background =
  | { readonly kind: 'process' | 'none' }
  | { readonly kind: 'queue'; readonly send: (message: QueueMessage) => Promise<void> };

export interface HandlerOptions {
  readonly prefix: string;
  readonly signer?: Signer;
  /** Unsigned URLs are answered, whatever they ask: for development. */
  readonly unsafe: boolean;
  readonly unsigned?: UnsignedGate;
  readonly presets: Presets;
  readonly maxSide: number;
  readonly pipeline: Pipeline;
  readonly flight: ReturnType<typeof createFlight<Finished | Interim>>;
  readonly background: Background;
  readonly rate?: RateLimit;
  readonly sourceTtl: number;
  /** Milliseconds. */
  readonly syncWait: number;
  readonly deadline: number;
  readonly jobDeadline: number;
  readonly metrics: Metrics;
  readonly draining: () => boolean;
}

export interface Handler {
  /** Answers one transform request; `base` is what stands before `<prefix>/` in its path. Never throws. */
  answer(request: Request, base: string): Promise<Response>;
  /** Does queued work. Errors: what the work throws; input errors are final and not thrown. */
  consume(message: QueueMessage): Promise<void>;
}

/** Milliseconds after which a store that has not even taken a job's record holds an answer no longer. */
const RECORD_MS = 5_000;
/** Milliseconds that an answer waits for work to stop, and for a queue to take it. */
const QUEUE_MS = 5_000;

/** The one place where a request's steps follow each other. */
export function createHandler(options: HandlerOptions): Handler {
  const { prefix, signer, pipeline, flight, background, metrics, sourceTtl } = options;

  const jobId = (plan: Plan) => {
    const name = `${plan.source}\n${plan.path}\n${plan.variant}`;
    // Whoever has a job's id may watch and cancel it, so it must not be guessable from the URL.
    return signer ? signer.name(name) : sha256(new TextEncoder().encode(name)).then((hex) => hex.slice(0, 22));
  };

  async function authorise(transform: Transform, search: string): Promise<{ exp?: number; tenant: string }> {
    const credentials = parseCredentials(search);
    if (credentials.sig === undefined) {
      if (options.unsafe || options.unsigned?.(transform)) return { tenant: 'unsigned' };
      throw new ElfinError('SIGNATURE_INVALID', 'The URL is not signed; ask the site for a signed one.');
    }
    if (!signer) throw new ElfinError('SIGNATURE_INVALID', 'This server has no keys, so no signature is valid here.');
    const { exp, kid } = await signer.verify(transform, credentials);
    return { tenant: kid, ...(exp === undefined ? {} : { exp }) };
  }

  function start(
    plan: Plan,
    job: { id: string; queued?: boolean },
    traceparent: string,
    spans: Map<string, number>,
    ways: Pick<FlightRequest<unknown>, 'handover' | 'enqueue' | 'signal' | 'onRecord'> = {},
  ) {
    const limit = options.background.kind === 'process' || job.queued ? options.jobDeadline : options.deadline;
    return flight.join({
      ...job,
      ...ways,
      collect: () => pipeline.collect(plan),
      work: (claim) => {
        const signal = deadlineSignal(limit, ways.handover, ways.signal);
        return pipeline.run(plan, claim, { signal, deadline: Date.now() + limit, traceparent, spans });
      },
    });
  }

  /** Milliseconds that this request waits for the result. */
  function patience(plan: Plan, prefer: ReturnType<typeof parsePrefer>): number {
    if (background.kind === 'none') return options.deadline;
    if (prefer.async) return 0;
    if (prefer.wait !== undefined) return Math.min(prefer.wait * 1000, options.deadline);
    return plan.pending === 'wait' ? options.deadline : options.syncWait;
  }

  async function pending(
    id: string,
    job: string,
    context: AnswerContext,
    run: { readonly traceparent: string; readonly deadline: number },
    prefer: ReturnType<typeof parsePrefer>,
  ): Promise<Response> {
    const { plan } = context;
    if (prefer.async) return answerAccepted(id, job, 'respond-async');
    if (plan.pending === '202') return answerAccepted(id, job);
    if (plan.pending === 'wait' && prefer.wait === undefined) {
      throw new ElfinError('DEADLINE_EXCEEDED', 'The work takes longer than a request may wait.');
    }
    const locked = new ElfinError('PENDING', 'The image is being restored; ask again.', { data: { retryAfter: 2 } });
    if (plan.pending === '423') return answerError(locked, undefined, id);
    try {
      const signal = deadlineSignal(Math.max(0, run.deadline - Date.now()));
      const outcome = await pipeline.interim(plan, { ...run, signal, spans: new Map<string, number>() });
      return outcome.state === 'made' ? answerFinished(outcome, context) : answerInterim(outcome, context, id);
    } catch (thrown) {
      const error = asElfinError(thrown);
      // What is wrong with the image or its source will not get better by waiting.
      if (error.fault === 'input') throw error;
      return answerError(locked, undefined, id);
    }
  }

  async function steps(
    request: Request,
    base: string,
    note: (plan: Plan, cache: CacheState) => void,
  ): Promise<Response> {
    if (options.draining()) throw new ElfinError('DRAINING', 'The server is shutting down; ask another.');
    if (request.headers.has(HOP_HEADER)) {
      throw new ElfinError('LOOP_DETECTED', 'The request comes from elfin itself: its source leads back here.');
    }
    const url = new URL(request.url);
    const transform = parseTransform(url.pathname.slice(base.length + prefix.length + 1));
    const { exp, tenant } = await authorise(transform, url.search);
    const wait = await options.rate?.(tenant);
    if (wait !== undefined) {
      throw new ElfinError('RATE_LIMITED', 'Too many requests; slow down.', { data: { retryAfter: wait } });
    }
    const bucket = acceptBucket(request.headers.get('accept'));
    const plan = planTransform(transform, { presets: options.presets, bucket, maxSide: options.maxSide });
    note(plan, 'none');
    const spans = new Map<string, number>();
    const context: AnswerContext = { request, plan, spans, sourceTtl, ...(exp === undefined ? {} : { exp }) };
    try {
      const hit = await pipeline.lookup(plan);
      if (hit) {
        note(plan, hit.cache);
        return answerFinished(hit, context);
      }
      return await work(plan, (id) => jobUrl(id, base, url.pathname + url.search), context, note);
    } catch (error) {
      return answerError(error, plan);
    }
  }

  async function work(
    plan: Plan,
    jobOf: (id: string) => string,
    context: AnswerContext,
    note: (plan: Plan, cache: CacheState) => void,
  ): Promise<Response> {
    const deadline = Date.now() + options.deadline;
    const { headers } = context.request;
    const prefer = parsePrefer(headers.get('prefer'));
    const { traceparent } = continueTrace(headers.get('traceparent'));
    const id = await jobId(plan);
    const handover = new AbortController();
    const leave = new AbortController();
    const queue = background.kind === 'queue' ? background : undefined;
    const ms = patience(plan, prefer);
    if (queue && ms === 0) handover.abort();
    let onRecord = () => {};
    const recorded = new Promise<void>((resolve) => {
      onRecord = resolve;
    });
    const ways = {
      onRecord,
      ...(queue
        ? { handover: handover.signal, signal: leave.signal, enqueue: () => send(queue, { v: 1, id, plan }) }
        : {}),
    };
    const running = start(plan, { id }, traceparent, context.spans as Map<string, number>, ways);
    const late = Symbol('late');
    let outcome: Finished | Interim | typeof late = late;
    if (ms > 0) outcome = await within(running, ms, late);
    if (outcome === late) {
      if (queue) await leaveToQueue(running, handover, leave);
      // The record must be there before a client is sent to it; a failure is told by the job.
      else await within(Promise.race([recorded, running.catch(() => undefined)]), RECORD_MS, undefined);
      return pending(id, jobOf(id), context, { traceparent, deadline }, prefer);
    }
    if (outcome.state !== 'made') return answerInterim(outcome, context);
    note(plan, outcome.cache);
    const response = answerFinished(outcome, context);
    if (prefer.wait !== undefined) response.headers.set('preference-applied', `wait=${prefer.wait}`);
    return response;
  }

  async function send(queue: Extract<Background, { kind: 'queue' }>, message: QueueMessage): Promise<void> {
    try {
      await queue.send(message);
    } catch (error) {
      metrics.trouble('jobs', isElfinError(error) ? error.code : 'INTERNAL');
      throw error;
    }
  }

  /**
   * Stops the work in this isolate, which is then left to the consumer; whoever only waited just stops waiting. What takes
   * longer to stop is left to it later. Errors: what the work failed with meanwhile, STORE_FAILED of the queue.
   */
  async function leaveToQueue(
    running: Promise<unknown>,
    handover: AbortController,
    leave: AbortController,
  ): Promise<void> {
    handover.abort(new ElfinError('PENDING', 'The work is left to the queue.'));
    leave.abort(new ElfinError('PENDING', 'The request no longer waits.'));
    const left = running.catch((error) => {
      if (!isElfinError(error) || error.code !== 'PENDING') throw error;
    });
    left.catch(() => undefined);
    await within(left, QUEUE_MS, undefined);
  }

  return {
    async answer(request, base) {
      const begin = performance.now();
      let task = 'none';
      let cache: CacheState = 'none';
      let response: Response;
      try {
        response = await steps(request, base, (plan, state) => {
          task = plan.result.restore;
          cache = state;
        });
      } catch (error) {
        response = answerError(error);
      }
      metrics.request({ status: response.status, task, cache, seconds: (performance.now() - begin) / 1000 });
      return response;
    },

    async consume({ plan, id }) {
      const { traceparent } = continueTrace(undefined);
      try {
        await start(plan, { id, queued: true }, traceparent, new Map());
      } catch (thrown) {
        const error = asElfinError(thrown);
        // What was cancelled is over, though a new request may well begin it anew.
        if (error.code === 'JOB_CANCELLED') return;
        if (error.retry || error.fault !== 'input') throw error;
      }
    },
  };
}
