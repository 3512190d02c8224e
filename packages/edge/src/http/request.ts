import { ElfinError } from '@elfin/core';
import type { createFlight } from '../result/flight.ts';
import type { Finished, Interim, Known, Pipeline, RunContext, RunResult } from '../result/pipeline.ts';
import type { RateLimit } from '../result/rate-limit.ts';
import { isDerivable, nameOf } from '../result/restoration.ts';
import { deadlineSignal, within } from '../result/waiting.ts';
import { HOP_HEADER } from '../source/http.ts';
import { parseTransform, type Transform } from '../url/parse.ts';
import { parseCredentials, type Signer } from '../url/sign.ts';
import { type Plan, type Presets, planTransform } from '../url/transform.ts';
import type { UnsignedGate } from '../url/unsigned.ts';
import {
  type AnswerContext,
  answerAccepted,
  answerError,
  answerFinished,
  answerInterim,
  jobUrl,
  RETRY_SECONDS,
} from './answer.ts';
import { asElfinError } from './errors.ts';
import { type Background, Handover, type Hooks, jobId } from './handover.ts';
import type { CacheState } from './headers.ts';
import { type AccessEntry, requestId } from './log.ts';
import type { Metrics } from './metrics.ts';
import { acceptBucket, parsePrefer } from './negotiate.ts';
import { continueTrace } from './trace.ts';

/** What all requests have in common. */
export interface RequestDeps {
  readonly prefix: string;
  readonly signer: Signer | undefined;
  /** Unsigned URLs are answered, whatever they ask: for development. */
  readonly unsafe: boolean;
  readonly unsigned: UnsignedGate | undefined;
  readonly presets: Presets;
  readonly maxSide: number;
  readonly pipeline: Pipeline;
  readonly flight: ReturnType<typeof createFlight<RunResult>>;
  readonly background: Background;
  readonly rate: RateLimit | undefined;
  readonly sourceTtl: number;
  /** Milliseconds. */
  readonly syncWait: number;
  readonly deadline: number;
  readonly jobDeadline: number;
  readonly metrics: Metrics;
  /** Told of what is written behind an answer, so that a shutdown can wait for it. */
  readonly trackWrite: (work: Promise<unknown>) => void;
  readonly draining: () => boolean;
}

/** What a request's platform does with work that goes on behind its answer. */
export type WaitUntil = (work: Promise<unknown>) => void;

/** Most seconds that a client is told to wait. */
const MAX_RETRY_SECONDS = 120;
/** Milliseconds in which a source must be there for an interim image, where a request has waited less than that. */
const INTERIM_MS = 1_000;

const late = Symbol('late');

/** A transform request: each step is a method, and `answer` is their order. */
export class TransformRequest {
  /** What the request was understood to ask for; undefined until then. */
  plan: Plan | undefined;
  cache: CacheState = 'none';
  error: ElfinError | undefined;
  readonly spans = new Map<string, number>();
  readonly trace: ReturnType<typeof continueTrace>;
  readonly id: string;
  private readonly deps: RequestDeps;
  private readonly request: Request;
  /** What stands before `<prefix>/` in its path. */
  private readonly base: string;
  private readonly waitUntil: WaitUntil | undefined;
  private readonly url: URL;
  private readonly begin = Date.now();
  private readonly prefer: ReturnType<typeof parsePrefer>;
  private exp: number | undefined;
  private known: Known | undefined;

  constructor(deps: RequestDeps, request: Request, base: string, waitUntil?: WaitUntil) {
    this.deps = deps;
    this.request = request;
    this.base = base;
    this.waitUntil = waitUntil;
    this.url = new URL(request.url);
    this.prefer = parsePrefer(request.headers.get('prefer'));
    this.trace = continueTrace(request.headers.get('traceparent'));
    this.id = requestId(request.headers.get('x-request-id'));
  }

  /** Never throws. */
  async answer(): Promise<Response> {
    try {
      this.refuseEarly();
      const transform = this.parse();
      const tenant = await this.authorise(transform);
      await this.limitRate(tenant);
      const plan = this.resolve(transform);
      return (await this.lookup(plan)) ?? (await this.work(plan));
    } catch (thrown) {
      this.error = asElfinError(thrown);
      return answerError(this.error, this.plan);
    }
  }

  private refuseEarly(): void {
    if (this.deps.draining()) throw new ElfinError('DRAINING', 'The server is shutting down; ask another.');
    if (!this.request.headers.has(HOP_HEADER)) return;
    throw new ElfinError('LOOP_DETECTED', 'The request comes from elfin itself: its source leads back here.');
  }

  private parse(): Transform {
    return parseTransform(this.url.pathname.slice(this.base.length + this.deps.prefix.length + 1));
  }

  /** Resolves to whose request it is. Errors: SIGNATURE_INVALID, SIGNATURE_EXPIRED, URL_INVALID. */
  private async authorise(transform: Transform): Promise<string> {
    const { signer, unsafe, unsigned } = this.deps;
    const credentials = parseCredentials(this.url.search);
    if (credentials.sig === undefined) {
      if (unsafe || unsigned?.(transform)) return 'unsigned';
      throw new ElfinError('SIGNATURE_INVALID', 'The URL is not signed; ask the site for a signed one.');
    }
    if (!signer) throw new ElfinError('SIGNATURE_INVALID', 'This server has no keys, so no signature is valid here.');
    const { exp, kid } = await signer.verify(transform, credentials);
    this.exp = exp;
    return kid;
  }

  private async limitRate(tenant: string): Promise<void> {
    const wait = await this.deps.rate?.(tenant);
    if (wait === undefined) return;
    throw new ElfinError('RATE_LIMITED', 'Too many requests; slow down.', { data: { retryAfter: wait } });
  }

  private resolve(transform: Transform): Plan {
    const bucket = acceptBucket(this.request.headers.get('accept'));
    const { presets, maxSide } = this.deps;
    this.plan = planTransform(transform, { presets, bucket, maxSide });
    return this.plan;
  }

  private async lookup(plan: Plan): Promise<Response | undefined> {
    const { hit, known } = await this.deps.pipeline.lookup(plan);
    this.known = known;
    return hit && this.finished(hit);
  }

  /** Has it made, and waits as long as the caller may: for the result, then for something to show meanwhile. */
  private async work(plan: Plan): Promise<Response> {
    const { pipeline, signer, background, metrics } = this.deps;
    const id = await jobId(plan, pipeline.shares(plan), signer);
    const run = new Handover(background, { v: 1, id, plan }, metrics);
    const ms = this.patience(plan);
    if (ms === 0) run.begin();
    const running = this.start(plan, id, run);
    let outcome: Finished | Interim | typeof late = late;
    try {
      if (ms > 0) outcome = await within(running, ms, late);
    } catch (error) {
      return this.whenOverloaded(plan, error);
    }
    if (outcome === late) {
      await run.leave(running);
      return this.pending(plan, id);
    }
    return outcome.state === 'made' ? this.finished(outcome) : answerInterim(outcome, this.context(plan));
  }

  /** The result: of a restoration in memory, of one under way, or of one that is begun here. */
  private async start(plan: Plan, id: string, run: Handover): Promise<Finished | Interim> {
    const { pipeline } = this.deps;
    const context = this.runContext(this.deps.deadline);
    const restoration = await pipeline.remembered(plan);
    if (restoration) {
      return this.settled(await pipeline.derive(plan, restoration, context));
    }
    const made = await this.join(plan, id, run);
    if (made.name === nameOf(plan)) return made.outcome;
    // Somebody else's size or format of the same photo.
    if (made.restoration && isDerivable(plan, made.restoration)) {
      return this.settled(await pipeline.derive(plan, made.restoration, context));
    }
    return (await this.join(plan, await jobId(plan, false, this.deps.signer), run)).outcome;
  }

  private join(plan: Plan, id: string, run: Handover): Promise<RunResult> {
    const { flight, pipeline, background, deadline, jobDeadline } = this.deps;
    const limit = background.kind === 'process' ? jobDeadline : deadline;
    return flight.join({
      id,
      ...run.hooks(),
      detach: (work) => this.detach(work),
      settle: (made) => made.settle(),
      collect: (awaited) => pipeline.collect(plan, this.runContext(limit), awaited),
      work: (claim) => pipeline.run(plan, claim, this.runContext(limit, run.hooks()), this.known),
    });
  }

  private async settled(made: RunResult): Promise<RunResult['outcome']> {
    await this.detach(made.settle());
    return made.outcome;
  }

  /** Lets work go on behind the answer, where the platform can; elsewhere the answer waits for it. */
  private detach(work: Promise<unknown>): Promise<unknown> | undefined {
    this.deps.trackWrite(work);
    if (this.deps.background.kind === 'process') return undefined;
    if (!this.waitUntil) return work;
    this.waitUntil(work);
    return undefined;
  }

  /** Milliseconds that this request waits for the result; a part of what a page waits is left for the interim image. */
  private patience(plan: Plan): number {
    const { deadline, syncWait, background } = this.deps;
    if (background.kind === 'none') return deadline;
    if (this.prefer.async) return 0;
    if (this.prefer.wait !== undefined) return Math.min(this.prefer.wait * 1000, deadline);
    return plan.pending === 'wait' ? deadline : syncWait;
  }

  private async pending(plan: Plan, id: string): Promise<Response> {
    const job = jobUrl(id, this.base, this.url.pathname + this.url.search);
    const retryAfter = this.retryAfter(plan);
    if (this.prefer.async) return answerAccepted({ job: id, location: job, retryAfter, preference: 'respond-async' });
    if (plan.pending === '202') return answerAccepted({ job: id, location: job, retryAfter });
    if (plan.pending === 'wait' && this.prefer.wait === undefined) {
      throw new ElfinError('DEADLINE_EXCEEDED', 'The work takes longer than a request may wait.', {
        data: { retryAfter },
      });
    }
    const locked = new ElfinError('PENDING', 'The image is being restored; ask again.', { data: { retryAfter } });
    return plan.pending === '423'
      ? answerError(locked, undefined, id)
      : ((await this.interim(plan, retryAfter, id)) ?? answerError(locked, undefined, id));
  }

  /** A page gets a picture even where the result has no place in the queue; programs that said how they wait are told. */
  private async whenOverloaded(plan: Plan, thrown: unknown): Promise<Response> {
    const error = asElfinError(thrown);
    const page = plan.pending === 'original' && this.prefer.wait === undefined && plan.result.restore !== 'none';
    if (error.code !== 'OVERLOADED' || !page) throw error;
    const retryAfter = typeof error.data.retryAfter === 'number' ? error.data.retryAfter : this.retryAfter(plan);
    const shown = await this.interim(plan, retryAfter);
    if (!shown) throw error;
    return shown;
  }

  /** Undefined where it cannot be made in time. Errors: what is wrong with the image or its source, for good. */
  private async interim(plan: Plan, retryAfter: number, job?: string): Promise<Response | undefined> {
    // What a page waits covers the fetch: an origin that hangs is not waited for anew.
    const waited = Date.now() - this.begin;
    const left = Math.max(this.deps.syncWait - waited, waited < INTERIM_MS ? INTERIM_MS : 100);
    try {
      const context = this.runContext(this.deps.deadline);
      const outcome = await this.deps.pipeline.interim(plan, context, left);
      if (outcome.state === 'made') return this.finished(outcome);
      return answerInterim(outcome, this.context(plan), { job, retryAfter });
    } catch (thrown) {
      const error = asElfinError(thrown);
      // What is wrong with the image or its source will not get better by waiting.
      if (error.fault === 'input') throw error;
      return undefined;
    }
  }

  private finished(made: Finished): Response {
    this.cache = made.cache;
    const response = answerFinished(made, this.context(this.plan as Plan));
    if (this.prefer.wait !== undefined) response.headers.set('preference-applied', `wait=${this.prefer.wait}`);
    return response;
  }

  /** Seconds after which the result should be there, by what earlier ones took. */
  private retryAfter(plan: Plan): number {
    const eta = this.deps.pipeline.eta(plan);
    return eta === undefined ? RETRY_SECONDS : Math.min(MAX_RETRY_SECONDS, Math.max(1, Math.ceil(eta)));
  }

  private context(plan: Plan): AnswerContext {
    const { request, spans, exp } = this;
    return { request, plan, spans, exp, sourceTtl: this.deps.sourceTtl };
  }

  private runContext(ms: number, { handover, signal: gone }: Partial<Hooks> = {}): RunContext {
    const { spans, trace, deps } = this;
    const signal = deadlineSignal(ms, handover, gone);
    return { signal, deadline: Date.now() + ms, traceparent: trace.traceparent, metrics: deps.metrics, spans };
  }

  /** For the access log. */
  describe(response: Response, seconds: number): AccessEntry {
    const { request, url, trace, plan, cache, error } = this;
    const cause = error?.cause instanceof Error ? error.cause.message : undefined;
    const length = response.headers.get('content-length');
    return {
      id: this.id,
      trace: trace.traceId,
      method: request.method,
      path: url.pathname,
      status: response.status,
      task: plan?.result.restore,
      source: plan?.source,
      cache,
      restore: response.headers.get('restore-status') ?? undefined,
      bytes: length === null ? undefined : Number(length),
      ms: Math.round(seconds * 1000),
      spans: Object.fromEntries([...this.spans].map(([name, ms]) => [name, Math.round(ms)])),
      error: error && { code: error.code, message: error.message, cause },
    };
  }
}
