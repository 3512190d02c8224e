import {
  type Codec,
  ElfinError,
  type Header,
  isElfinError,
  type Models,
  resultKey,
  resultModels,
  type SourceValidator,
  sha256,
} from '@elfin/core';
import { type createLadder, type Made, mediaType, type Work, type WorkContext } from '../backends/backend.ts';
import type { CacheState, ResultInfo } from '../http/headers.ts';
import { type Metrics, timed } from '../http/metrics.ts';
import { resolveFormat } from '../http/negotiate.ts';
import { parseSource } from '../source/name.ts';
import { type CacheScope, type Revision, readCapped, type Source } from '../source/source.ts';
import type { Plan } from '../url/transform.ts';
import { createMaker } from './fingerprint.ts';
import { checkFit } from './fit-limit.ts';
import type { Gate } from './gate.ts';
import type { Claim } from './jobs.ts';
import type { Ref, RefName, ResultStore, StoredResult } from './store.ts';

/** A finished result with what caches may know of it. */
export interface Finished {
  readonly state: 'made';
  readonly key: string;
  readonly result: StoredResult;
  readonly pinned: boolean;
  readonly scope: CacheScope;
  /** Milliseconds since the epoch. */
  readonly checkedAt: number;
  readonly cache: CacheState;
}

/** An answer that is not the result: shown once, never stored. */
export interface Interim {
  readonly state: 'degraded' | 'pending';
  readonly result: StoredResult;
  readonly reason: string;
}

export interface Caps {
  readonly sourceBytes: number;
  readonly sourcePixels: number;
  readonly resultSide: number;
}

export interface PipelineOptions {
  readonly source: Source;
  readonly results: ResultStore;
  readonly ladder: ReturnType<typeof createLadder>;
  readonly codec: Pick<Codec, 'name' | 'version' | 'formats' | 'probe'>;
  readonly models?: Models;
  readonly caps: Caps;
  /** Seconds that a source is trusted without asking. */
  readonly sourceTtl: number;
  /** Bounds what is decoded and computed at once. */
  readonly gate: Gate;
  /** Whether requests may share what one of them has fetched; not in workerd. */
  readonly shared: boolean;
  /** Bounds what is fetched at once. */
  readonly fetchGate: Gate;
  /** Bounds interim images, which are small work but arrive in crowds. */
  readonly interimGate: Gate;
  readonly metrics: Metrics;
}

/** What one run is told by its caller. */
export interface RunContext {
  readonly signal: AbortSignal;
  readonly deadline: number;
  readonly traceparent: string;
  readonly spans: Map<string, number>;
}

interface Fetched {
  readonly bytes: Uint8Array;
  readonly header: Header;
  readonly revision: Revision;
  readonly validator: SourceValidator;
  readonly pinned: boolean;
  readonly scope: CacheScope;
}

const nameOf = ({ source, path, variant }: Plan) => `${source}\n${path}\n${variant}`;
const refName = ({ source, path, variant }: Plan): RefName => ({ source, path, variant });

const unasked = () => new ElfinError('SOURCE_FAILED', 'The source says "not modified" to a plain request.');

/** Milliseconds that a result which may not be stored waits in memory for whoever was told to ask again. */
const HANDOVER_MS = 10_000;

/** From a plan to a result: look up, fetch, check, make, keep. */
export function createPipeline(options: PipelineOptions) {
  const { source, results, ladder, codec, models, caps, sourceTtl, metrics } = options;
  /** Sources of work under way, for interim images of the same: the origin is asked once. */
  const inHand = new Map<string, Fetched>();
  const interims = new Map<string, Promise<Interim>>();
  const handedOver = new Map<string, Finished>();
  const maker = createMaker({ codec, models });

  /** Where nobody waits in this process for a result, it has to lie somewhere until it is fetched. */
  const allowedScope = (scope: CacheScope) => (scope === 'no-store' && !options.shared ? 'private' : scope);

  /** Holds a result that no store may keep for those who were sent away while it was made. */
  function handOver(name: string, finished: Finished): void {
    handedOver.set(name, finished);
    const timer = setTimeout(() => handedOver.delete(name), HANDOVER_MS);
    (timer as { unref?: () => void }).unref?.();
  }

  /** A store that fails costs work, never an answer. */
  async function attempt<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      metrics.trouble('store', isElfinError(error) ? error.code : 'INTERNAL');
      return undefined;
    }
  }

  const isFresh = (ref: Ref) => ref.pinned || Date.now() - ref.checkedAt < sourceTtl * 1000;

  /** Whether a ref leads to what would be made today: new weights make a new result, however sure one is of the source. */
  async function isCurrent(plan: Plan, ref: Ref): Promise<boolean> {
    const now = await maker(plan);
    return now === undefined || now === ref.maker;
  }

  async function load(ref: Ref, cache: CacheState): Promise<Finished | undefined> {
    const result = await attempt(() => results.getResult(ref.key));
    const { key, pinned, scope = 'public', checkedAt } = ref;
    return result && { state: 'made', key, result, pinned, scope, checkedAt, cache };
  }

  async function fetchSource(plan: Plan, context: RunContext, known?: Revision): Promise<Fetched | 'same'> {
    const wait = performance.now();
    return options.fetchGate.run(async () => {
      metrics.span('queue', (performance.now() - wait) / 1000);
      const { signal, traceparent } = context;
      const read = await timed('fetch', { metrics, spans: context.spans }, async () => {
        const reply = await source.read(parseSource(plan.source), { signal, traceparent, ...(known ? { known } : {}) });
        return reply.state === 'same' ? reply : { reply, bytes: await readCapped(reply, caps.sourceBytes, signal) };
      });
      if ('state' in read) return 'same';
      const { reply, bytes } = read;
      const header = await codec.probe(bytes);
      check(header, plan);
      const validator = reply.validator ?? { sha256: await sha256(bytes) };
      const { revision, pinned, scope = 'public' } = reply;
      return { bytes, header, revision, validator, pinned, scope: allowedScope(scope) };
    }, context.signal);
  }

  /** Everything that the header already tells, before a pixel is decoded. */
  function check(header: Header, plan: Plan): void {
    const { width, height, frames } = header;
    if (width * height > caps.sourcePixels) {
      throw new ElfinError(
        'IMAGE_TOO_MANY_PIXELS',
        `The source is ${width} × ${height}, more than the ${caps.sourcePixels} pixels allowed.`,
      );
    }
    if (frames > 1 && !plan.firstFrame) {
      throw new ElfinError('IMAGE_ANIMATED', `The source has ${frames} frames; ask for animated=first or use a still.`);
    }
    checkFit(header, plan.result, caps.resultSide);
  }

  function toResult(work: Work, made: Made): StoredResult {
    const { header, bytes, options: wanted } = work;
    const info: ResultInfo = {
      input: { bytes: bytes.byteLength, width: header.width, height: header.height, format: header.format },
      output: { bytes: made.bytes.byteLength, width: made.width, height: made.height, format: wanted.format },
      ...(made.restored ? { restored: made.restored } : {}),
    };
    return { bytes: made.bytes, type: mediaType(wanted.format), info };
  }

  function toWork(plan: Plan, { bytes, header }: Fetched): Work {
    const format = resolveFormat(plan.variant, header, codec.formats);
    return { bytes, header, options: { ...plan.result, format }, firstFrame: plan.firstFrame };
  }

  async function keepRef(
    plan: Plan,
    known: Pick<Ref, 'key' | 'maker' | 'revision' | 'pinned' | 'scope'>,
  ): Promise<number> {
    const { key, maker, revision, pinned, scope } = known;
    const { path, source } = plan;
    const checkedAt = Date.now();
    const ref: Ref = { key, maker, revision, pinned, scope, checkedAt, path, source };
    await attempt(() => results.putRef(refName(plan), ref));
    return checkedAt;
  }

  /** Fetched outside the gate: an origin that hangs must not keep the interim images of others waiting. */
  async function ready(plan: Plan, context: RunContext): Promise<Interim> {
    options.interimGate.check();
    const fetched = inHand.get(nameOf(plan)) ?? (await fetchSource(plan, context));
    if (fetched === 'same') throw unasked();
    const work = toWork(plan, fetched);
    const task: WorkContext = { ...context, metrics, onProgress: () => undefined };
    const made = await options.interimGate.run(() => ladder.ready(work, task), context.signal);
    return { state: 'pending', reason: 'pending', result: toResult(work, made) };
  }

  return {
    /** The result, where it is there and its source need not be asked. */
    async lookup(plan: Plan): Promise<Finished | undefined> {
      const unkept = handedOver.get(nameOf(plan));
      if (unkept) return unkept;
      const ref = await attempt(() => results.getRef(refName(plan)));
      return ref && isFresh(ref) && (await isCurrent(plan, ref)) ? load(ref, 'hit') : undefined;
    },

    /** The result of work that another process has just finished. */
    async collect(plan: Plan): Promise<Finished | undefined> {
      const ref = await attempt(() => results.getRef(refName(plan)));
      return ref && (await isCurrent(plan, ref)) ? load(ref, 'miss') : undefined;
    },

    /**
     * Makes the result, or finds that nothing changed. Errors: SOURCE_*, IMAGE_*, MODEL_UNKNOWN, OVERLOADED, and the last
     * place's where nothing could be made.
     */
    async run(plan: Plan, claim: Pick<Claim, 'signal' | 'progress'>, context: RunContext): Promise<Finished | Interim> {
      const signal = AbortSignal.any([context.signal, claim.signal]);
      const within: RunContext = { ...context, signal };
      const ref = await attempt(() => results.getRef(refName(plan)));
      const stored = ref && (await load(ref, 'revalidated'));
      // Only a result that can be served makes it worth asking whether the source changed.
      const known = ref && stored && (await isCurrent(plan, ref)) ? ref : undefined;
      // Finished by another process after this request had looked.
      if (known && stored && isFresh(known)) return { ...stored, cache: 'hit' };
      if (!stored) options.gate.check();
      let fetched: Fetched | 'same';
      try {
        fetched = await fetchSource(plan, within, known?.revision);
      } catch (error) {
        const down = isElfinError(error) && (error.code === 'SOURCE_FAILED' || error.code === 'SOURCE_TIMEOUT');
        if (!down || !stored) throw error;
        metrics.trouble('source', error.code);
        return { ...stored, cache: 'stale' };
      }
      if (fetched === 'same') {
        if (!known || !stored) throw unasked();
        return { ...stored, checkedAt: await keepRef(plan, known) };
      }
      const work = toWork(plan, fetched);
      const key = await resultKey({
        source: plan.source,
        validator: fetched.validator,
        options: work.options,
        models: models ? await resultModels(models, work.options) : [],
        codec,
      });
      const { pinned, revision, scope } = fetched;
      const made = { key, maker: await maker(plan), revision, pinned, scope };
      const present = await attempt(() => results.getResult(key));
      if (present) {
        return {
          state: 'made',
          key,
          result: present,
          pinned,
          scope,
          checkedAt: await keepRef(plan, made),
          cache: 'revalidated',
        };
      }
      const queued = performance.now();
      const name = nameOf(plan);
      if (options.shared) inHand.set(name, fetched);
      const making = options.gate.run(() => {
        const waited = performance.now() - queued;
        context.spans.set('queue', waited);
        metrics.span('queue', waited / 1000);
        const task: WorkContext = { ...within, metrics, onProgress: claim.progress };
        return ladder.make(work, task);
      }, signal);
      const outcome = await making.finally(() => inHand.delete(name));
      const result = toResult(work, outcome.made);
      if (outcome.state === 'degraded') return { state: 'degraded', result, reason: outcome.reason };
      if (scope === 'no-store') {
        const finished: Finished = { state: 'made', key, result, pinned, scope, checkedAt: Date.now(), cache: 'miss' };
        handOver(name, finished);
        return finished;
      }
      // One ETag has one body: what is kept is what is answered.
      const put = () => attempt(() => results.putResult(key, result));
      const kept = (await timed('store', { metrics, spans: context.spans }, put)) ?? result;
      return { state: 'made', key, result: kept, pinned, scope, checkedAt: await keepRef(plan, made), cache: 'miss' };
    },

    /**
     * What is shown while the result is being made: the last one where there is any, which needs no origin; else the
     * source in the result's size and format, not restored and not kept. Errors: as `run`; OVERLOADED.
     */
    async interim(plan: Plan, context: RunContext): Promise<Finished | Interim> {
      const ref = await attempt(() => results.getRef(refName(plan)));
      const stored = ref && (await load(ref, 'stale'));
      if (stored) return stored;
      const name = nameOf(plan);
      const present = interims.get(name);
      if (present) return present;
      const making = ready(plan, context);
      if (!options.shared) return making;
      interims.set(name, making);
      return making.finally(() => interims.delete(name));
    },
  };
}

export type Pipeline = ReturnType<typeof createPipeline>;
