import type { Codec, Models } from '@elfin/core';
import type { Fallback } from '../backends/fallback.ts';
import type { CacheState } from '../http/headers.ts';
import type { Metrics } from '../http/metrics.ts';
import type { CacheScope } from '../source/source.ts';
import type { Plan } from '../url/transform.ts';
import type { Fingerprint } from './fingerprint.ts';
import { makeInterim } from './interim.ts';
import type { Claim } from './jobs.ts';
import type { Limiter } from './limiter.ts';
import type { PictureStore } from './pictures.ts';
import type { Recent } from './recent.ts';
import { isDerivable, nameOf, type Restoration, restorationName } from './restoration.ts';
import { ResultRun } from './result-run.ts';
import type { SourceReader } from './source-reader.ts';
import type { Ref, ResultStore, StoredResult } from './store.ts';
import type { StoreGuard } from './store-guard.ts';

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
  readonly sources: SourceReader;
  readonly results: ResultStore;
  /** Restored pictures that derivatives are made from; without it each result is a restoration of its own. */
  readonly pictures: PictureStore | undefined;
  readonly fallback: Fallback;
  readonly codec: Codec;
  readonly models: Models | undefined;
  readonly fingerprint: Fingerprint;
  readonly caps: Caps;
  /** Seconds that a source is trusted without asking. */
  readonly sourceTtl: number;
  /** Bounds how many images are restored at once. */
  readonly networkLane: Limiter;
  /** Bounds how many are decoded, fitted and encoded at once. */
  readonly codecLane: Limiter;
  /** Whether requests may share what one of them has made; not in workerd. */
  readonly shared: boolean;
  readonly guard: StoreGuard;
  readonly recent: Recent;
  readonly metrics: Metrics;
}

/** What one run is told by its caller. */
export interface RunContext {
  readonly signal: AbortSignal;
  readonly deadline: number;
  readonly traceparent: string;
  readonly metrics: Metrics;
  readonly spans: Map<string, number>;
}

/** What the store knows of a plan. */
export interface Known {
  readonly ref: Ref;
  /** Whether the same would be made today. */
  readonly current: boolean;
  /** Current, and its source need not be asked. */
  readonly fresh: boolean;
}

/** What a run needs of the claim that it has. */
export type RunClaim = Pick<Claim, 'signal' | 'progress' | 'isNew'>;

/** What a run leaves behind. */
export interface RunResult {
  /** The plan that it was for; see `nameOf`. */
  readonly name: string;
  readonly outcome: Finished | Interim;
  /** What other sizes and formats of the same photo are made from. */
  readonly restoration?: Restoration | undefined;
  /** Writes what is to be kept, behind the answer. Never fails. */
  settle(): Promise<void>;
}

export interface Pipeline {
  /** The result, where it is there and its source need not be asked; and what is known of it where it is not. */
  lookup(plan: Plan): Promise<{ readonly hit?: Finished | undefined; readonly known?: Known | undefined }>;
  /** A restoration in this process that the result can be made from at once; nobody is asked for it. */
  remembered(plan: Plan): Promise<Restoration | undefined>;
  /**
   * The result of work that another process has finished; undefined where it is not to be found. `awaited`: while this one
   * waited, so that it is fresh by itself. Errors: as `run`.
   */
  collect(plan: Plan, context: RunContext, awaited: boolean): Promise<RunResult | undefined>;
  /**
   * Makes the result, or finds that nothing changed. `seen`: what `lookup` knew just before. Errors: SOURCE_*, IMAGE_*, MODEL_UNKNOWN, OVERLOADED, and the last
   * backend's where nothing could be made.
   */
  run(plan: Plan, claim: RunClaim, context: RunContext, seen?: Known): Promise<RunResult>;
  /** Another result of a photo that is restored already. Errors: IMAGE_*, OVERLOADED. */
  derive(plan: Plan, restoration: Restoration, context: RunContext): Promise<RunResult>;
  /**
   * What is shown while the result is being made: the last one where there is any, which needs no origin; else the
   * source in the result's size and format, not restored and not kept. `fetchMs`: how long the source may take. Errors: as `run`;
   * OVERLOADED.
   */
  interim(plan: Plan, context: RunContext, fetchMs: number): Promise<Finished | Interim>;
  /** Seconds until the restoration that waits or runs is done; undefined where nothing tells. */
  eta(plan: Plan): number | undefined;
  /** Whether one restoration serves all derivatives of a plan's photo. */
  shares(plan: Plan): boolean;
}

/** Milliseconds that a restored picture in memory is used without asking its source. */
const REMEMBERED_MS = 30_000;

/** From a plan to a result: look up, fetch, check, restore, derive, keep. */
export function createPipeline(options: PipelineOptions): Pipeline {
  const { results, sourceTtl, guard, recent, fingerprint, networkLane, sources } = options;
  const interims = new Map<string, Promise<Interim>>();
  const derivations = new Map<string, Promise<RunResult>>();

  const shares = ({ result }: Plan) => options.pictures !== undefined && result.restore !== 'none';

  const isFresh = ({ pinned, checkedAt }: Pick<Ref, 'pinned' | 'checkedAt'>) =>
    pinned || Date.now() - checkedAt < sourceTtl * 1000;

  async function load(ref: Ref, cache: CacheState): Promise<Finished | undefined> {
    const result = await guard.read(() => results.getResult(ref.key));
    const { key, pinned, scope = 'public', checkedAt } = ref;
    return result && { state: 'made', key, result, pinned, scope, checkedAt, cache };
  }

  async function find(plan: Plan): Promise<Known | undefined> {
    const ref = await guard.read(() => results.getRef(plan));
    if (!ref) return undefined;
    // New weights make a new result, however sure one is of the source; weights that cannot be had hold back nothing.
    const now = await fingerprint(plan);
    const current = now === undefined || now === ref.fingerprint;
    return { ref, current, fresh: current && isFresh(ref) };
  }

  const start = (plan: Plan, context: RunContext, claim?: RunClaim) =>
    new ResultRun({ ...options, load, find }, plan, context, claim);

  function derive(plan: Plan, restoration: Restoration, context: RunContext): Promise<RunResult> {
    const name = nameOf(plan);
    const present = derivations.get(name);
    if (present) return present;
    const deriving = start(plan, context).derive(restoration);
    if (!options.shared) return deriving;
    derivations.set(name, deriving);
    return deriving.finally(() => derivations.delete(name));
  }

  return {
    async lookup(plan) {
      const made = recent.results.get(nameOf(plan));
      // What may not be stored waits for the very caller who is asking now.
      if (made && (made.scope === 'no-store' || isFresh(made))) return { hit: { ...made, cache: 'hit' } };
      const known = await find(plan);
      return { known, hit: known?.fresh ? await load(known.ref, 'hit') : undefined };
    },
    async remembered(plan) {
      const restoration = shares(plan) ? recent.restorations.get(restorationName(plan)) : undefined;
      if (!restoration || !isDerivable(plan, restoration)) return undefined;
      // For a page that asks for several sizes at once; a purge by another process is not heard of here.
      if (Date.now() - restoration.origin.checkedAt > Math.min(REMEMBERED_MS, sourceTtl * 1000)) return undefined;
      return restoration.fingerprint === (await fingerprint(plan)) ? restoration : undefined;
    },
    async collect(plan, context, awaited) {
      const found = await find(plan);
      const usable = found && (found.fresh || (awaited && found.current));
      // A source that has to be asked again is asked by what is known of it.
      if (found && !usable) return undefined;
      const stored = found && (await load(found.ref, 'miss'));
      if (stored) return { name: nameOf(plan), outcome: stored, settle: async () => undefined };
      // Long done and not there: whoever takes the work over reads the source once, and finds the picture if there is one.
      return awaited && shares(plan) ? start(plan, context).collect() : undefined;
    },
    run: (plan, claim, context, seen) => start(plan, context, claim).execute(seen),
    derive,
    async interim(plan, context, fetchMs) {
      const ref = await guard.read(() => results.getRef(plan));
      const stored = ref && (await load(ref, 'stale'));
      if (stored) return stored;
      const name = nameOf(plan);
      const present = interims.get(name);
      if (present) return present;
      const making = makeInterim(options, plan, context, fetchMs);
      if (!options.shared) return making;
      interims.set(name, making);
      return making.finally(() => interims.delete(name));
    },
    eta(plan) {
      const header = sources.peek(plan.source);
      return networkLane.eta(header ? header.width * header.height : Number.POSITIVE_INFINITY);
    },
    shares,
  };
}
