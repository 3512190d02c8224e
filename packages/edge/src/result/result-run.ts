import { ElfinError, isElfinError, resultKey, resultModels } from '@elfin/core';
import { costOf, type Made, type RestoredPicture, type WorkContext } from '../backends/backend.ts';
import { codecLane, decode, finish } from '../backends/local.ts';
import type { CacheState } from '../http/headers.ts';
import { addSpan, timed } from '../http/metrics.ts';
import type { CacheScope } from '../source/source.ts';
import type { Plan } from '../url/transform.ts';
import { checkSource } from './fit-limit.ts';
import type { Finished, Known, PipelineOptions, RunClaim, RunContext, RunResult } from './pipeline.ts';
import { remember } from './recent.ts';
import {
  nameOf,
  pictureKey,
  type Restoration,
  restorationName,
  restoredOptions,
  toResult,
  toWork,
  wantedOptions,
} from './restoration.ts';
import { type Fetched, type Origin, unexpectedNotModified } from './source-reader.ts';
import type { Ref } from './store.ts';

/** What a run needs beside the pipeline's own options. */
export interface RunDeps extends PipelineOptions {
  readonly load: (ref: Ref, cache: CacheState) => Promise<Finished | undefined>;
  readonly find: (plan: Plan) => Promise<Known | undefined>;
}

/** What a result and its restored picture are called. */
interface Names {
  readonly key: string;
  readonly pictureKey: string | undefined;
  readonly models: readonly string[];
  readonly fingerprint: string | undefined;
}

/** One result on its way: each step is a method, and `execute` is their order. */
export class ResultRun {
  private readonly deps: RunDeps;
  private readonly plan: Plan;
  private readonly context: RunContext;
  private readonly work: WorkContext;
  private readonly name: string;
  private readonly isNew: boolean;

  constructor(deps: RunDeps, plan: Plan, context: RunContext, claim?: RunClaim) {
    const signal = claim ? AbortSignal.any([context.signal, claim.signal]) : context.signal;
    this.deps = deps;
    this.plan = plan;
    this.context = { ...context, signal };
    const onProgress = claim ? claim.progress : () => undefined;
    this.work = { ...this.context, codecLane: deps.codecLane, onProgress };
    this.name = nameOf(plan);
    this.isNew = claim?.isNew ?? false;
  }

  async execute(seen?: Known): Promise<RunResult> {
    // A record that was not there says that nobody has made it since the request looked.
    const known = this.isNew ? seen : await this.deps.find(this.plan);
    const stored = known && (await this.deps.load(known.ref, 'revalidated'));
    // Finished by another process after this request had looked.
    if (known?.fresh && stored) return this.found({ ...stored, cache: 'hit' });
    if (!stored) this.admit();
    // Only a result that can be served makes it worth asking whether the source changed.
    const fetched = await this.fetch(known?.current && stored ? known.ref : undefined, stored);
    if ('outcome' in fetched) return fetched;
    try {
      const names = await this.names(fetched);
      return (await this.present(names, fetched)) ?? (await this.make(names, fetched));
    } finally {
      fetched.release();
    }
  }

  /** Of a restoration that another process has finished; undefined where there is none. */
  async collect(): Promise<RunResult | undefined> {
    const fetched = await this.fetch();
    if ('outcome' in fetched) return undefined;
    try {
      return await this.present(await this.names(fetched), fetched);
    } finally {
      fetched.release();
    }
  }

  /** Of a restored picture that is in memory. */
  async derive(restoration: Restoration): Promise<RunResult> {
    const { origin, models, fingerprint, picture, pictureKey } = restoration;
    checkSource(origin.header, this.plan, this.deps.caps);
    const key = await this.resultKey(origin, models);
    const present = await this.deps.guard.read(() => this.deps.results.getResult(key));
    if (present) return this.refer({ key, pictureKey, models, fingerprint }, origin, present, 'revalidated');
    const source = () => {
      throw new ElfinError('INTERNAL', 'A derivative that shows its source was made without it.');
    };
    const wanted = wantedOptions(this.plan, origin.header, this.deps.codec);
    const made = await this.inLane(origin, () =>
      finish(this.deps.codec, { picture, source, header: origin.header, wanted }, this.work),
    );
    const result = toResult(origin, wanted, made);
    return this.keep({ key, pictureKey, models, fingerprint }, origin, result, restoration, true);
  }

  /** Errors: OVERLOADED, before anything is spent on what has no place. */
  private admit(): void {
    const { networkLane, codecLane } = this.deps;
    (this.plan.result.restore === 'none' ? codecLane : networkLane).check();
  }

  /** The source's bytes; or the stored result, where the source is as it was or cannot be asked. */
  private async fetch(known?: Ref, stored?: Finished): Promise<Fetched | RunResult> {
    const { sources, metrics, caps } = this.deps;
    let fetched: Fetched | 'same';
    try {
      fetched = await sources.fetch(this.plan.source, this.context, { known: known?.revision });
    } catch (error) {
      const down = isElfinError(error) && (error.code === 'SOURCE_FAILED' || error.code === 'SOURCE_TIMEOUT');
      if (!down || !stored) throw error;
      metrics.trouble('source', error.code);
      return this.found({ ...stored, cache: 'stale' });
    }
    if (fetched === 'same') {
      if (!known || !stored) throw unexpectedNotModified();
      const checkedAt = Date.now();
      return this.found({ ...stored, checkedAt }, () => this.putRef({ ...known, checkedAt }));
    }
    try {
      checkSource(fetched.header, this.plan, caps);
    } catch (error) {
      fetched.release();
      throw error;
    }
    return fetched;
  }

  /** What the store has of it: the very result, or the restored picture that it can be made from. */
  private async present(names: Names, fetched: Fetched): Promise<RunResult | undefined> {
    const { guard, results, pictures } = this.deps;
    const { key, pictureKey } = names;
    // Both at once: this is the last time that an answer waits for the store.
    const [result, picture] = await Promise.all([
      guard.read(() => results.getResult(key)),
      pictureKey && pictures ? guard.read(() => pictures.get(pictureKey)) : undefined,
    ]);
    if (result) return this.refer(names, fetched, result, 'revalidated');
    if (!picture) return undefined;
    const made = await this.finish(picture, fetched);
    const restoration = { picture, origin: originOf(fetched), ...names };
    return this.keep(names, fetched, this.toResult(fetched, made), restoration, true);
  }

  private async finish(picture: RestoredPicture, fetched: Fetched): Promise<Made> {
    const { codec, caps } = this.deps;
    const work = toWork(this.plan, fetched, codec);
    const { options: wanted, bytes } = work;
    const source = () => decode(codec, work, caps.sourcePixels, this.work);
    return this.inLane(fetched, () =>
      finish(codec, { picture, source, header: fetched.header, bytes, wanted }, this.work),
    );
  }

  /** By a backend; the source made ready where none can. */
  private async make(names: Names, fetched: Fetched): Promise<RunResult> {
    const { fallback, codec, networkLane } = this.deps;
    const work = toWork(this.plan, fetched, codec);
    const { signal } = this.context;
    const make = () => fallback.make(work, this.work);
    const outcome = await (work.options.restore === 'none'
      ? make()
      : networkLane.run(
          ({ waited }) => {
            addSpan('queue', waited, this.context);
            return make();
          },
          { signal, cost: costOf(fetched.header) },
        ));
    const result = this.toResult(fetched, outcome.made);
    if (outcome.state === 'degraded') {
      return {
        name: this.name,
        outcome: { state: 'degraded', result, reason: outcome.reason },
        settle: async () => {},
      };
    }
    const { picture } = outcome.made;
    return this.keep(names, fetched, result, picture && { picture, origin: originOf(fetched), ...names });
  }

  /** A result that is made: answered at once, written behind. */
  private keep(
    names: Names,
    origin: Origin,
    result: Finished['result'],
    restoration?: Restoration,
    pictureKept = false,
  ): RunResult {
    const { recent, metrics } = this.deps;
    const scope = this.scopeOf(origin);
    const { pinned } = origin;
    const checkedAt = Date.now();
    const outcome: Finished = { state: 'made', key: names.key, result, pinned, scope, checkedAt, cache: 'miss' };
    let settled = () => {};
    remember(
      recent,
      this.name,
      outcome,
      new Promise<void>((resolve) => {
        settled = resolve;
      }),
    );
    if (restoration && scope !== 'no-store') recent.restorations.set(restorationName(this.plan), restoration);
    const settle = async () => {
      try {
        if (scope !== 'no-store') {
          await timed('store', { metrics, spans: new Map() }, () =>
            this.write(names, origin, result, pictureKept ? undefined : restoration?.picture),
          );
        }
      } finally {
        settled();
      }
    };
    return { name: this.name, outcome, restoration, settle };
  }

  private async write(names: Names, origin: Origin, result: Finished['result'], picture?: RestoredPicture) {
    const { guard, results, pictures } = this.deps;
    await guard.write(() => results.putResult(names.key, result));
    await this.putRef(this.refOf(names, origin));
    const { pictureKey } = names;
    if (pictures && pictureKey && picture) await guard.write(() => pictures.put(pictureKey, picture));
  }

  /** A result that was there already, under another name or for an earlier state of the source. */
  private refer(names: Names, origin: Origin, result: Finished['result'], cache: CacheState): RunResult {
    const { pinned } = origin;
    const checkedAt = Date.now();
    const scope = this.scopeOf(origin);
    const outcome: Finished = { state: 'made', key: names.key, result, pinned, scope, checkedAt, cache };
    return { name: this.name, outcome, settle: () => this.putRef(this.refOf(names, origin)) };
  }

  private found(outcome: Finished, settle = async () => {}): RunResult {
    return { name: this.name, outcome, settle };
  }

  private async names(fetched: Fetched): Promise<Names> {
    const { models, codec, pictures, fingerprint } = this.deps;
    const wanted = restoredOptions(this.plan);
    const digests = models ? await resultModels(models, wanted) : [];
    const shared = pictures && wanted.restore !== 'none';
    return {
      key: await this.resultKey(fetched, digests),
      pictureKey: shared
        ? await pictureKey(this.plan, { digest: await fetched.digest(), models: digests, codec })
        : undefined,
      models: digests,
      fingerprint: await fingerprint(this.plan),
    };
  }

  private resultKey({ header, validator }: Origin, models: readonly string[]): Promise<string> {
    const { codec } = this.deps;
    const options = wantedOptions(this.plan, header, codec);
    return resultKey({ source: this.plan.source, validator, options, models, codec });
  }

  private toResult(fetched: Fetched, made: Made) {
    return toResult(fetched, wantedOptions(this.plan, fetched.header, this.deps.codec), made);
  }

  private inLane<T>({ header }: Origin, work: () => Promise<T>): Promise<T> {
    return codecLane(this.work, { header })(work);
  }

  /** Where nobody waits in this process for a result, it has to lie somewhere until it is fetched. */
  private scopeOf({ scope }: Origin): CacheScope {
    return scope === 'no-store' && !this.deps.shared ? 'private' : scope;
  }

  private refOf({ key, fingerprint, pictureKey }: Names, origin: Origin): Ref {
    const { revision, pinned } = origin;
    const checkedAt = Date.now();
    const { path, source } = this.plan;
    return {
      key,
      fingerprint,
      revision,
      pinned,
      scope: this.scopeOf(origin),
      checkedAt,
      path,
      source,
      picture: pictureKey,
    };
  }

  private async putRef(ref: Ref): Promise<void> {
    await this.deps.guard.write(() => this.deps.results.putRef(this.plan, ref));
  }
}

/** What is known of a source, without its bytes: they would be held for as long as the picture is. */
function originOf({ header, size, revision, validator, pinned, scope }: Fetched): Origin {
  return { header, size, revision, validator, pinned, scope, checkedAt: Date.now() };
}
