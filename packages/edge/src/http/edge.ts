import { type Codec, ElfinError, type Models } from '@elfin/core';
import { type ObjectStore, probeConditionalWrites } from '@elfin/storage';
import type { Hono } from 'hono';
import type { Backend } from '../backends/backend.ts';
import { createFallback } from '../backends/fallback.ts';
import { createFingerprint } from '../result/fingerprint.ts';
import { createFlight } from '../result/flight.ts';
import { createJobs, type Jobs } from '../result/jobs.ts';
import { createBudget, createLimiter, type Limiter } from '../result/limiter.ts';
import { createPictureStore } from '../result/pictures.ts';
import { type Caps, createPipeline, type RunResult } from '../result/pipeline.ts';
import type { RateLimit } from '../result/rate-limit.ts';
import { createRecent } from '../result/recent.ts';
import { createSourceReader } from '../result/source-reader.ts';
import { createResultStore, type ResultStore } from '../result/store.ts';
import { createStoreGuard, type StoreState } from '../result/store-guard.ts';
import type { Source } from '../source/source.ts';
import { createSigner, type Signer, type UrlKey } from '../url/sign.ts';
import { parsePresets } from '../url/transform.ts';
import { createUnsignedGate, type UnsignedRules } from '../url/unsigned.ts';
import { asElfinError } from './errors.ts';
import { createHandler, type Handler } from './handler.ts';
import type { Background, QueueMessage } from './handover.ts';
import type { AccessEntry } from './log.ts';
import { type Metrics, NO_METRICS } from './metrics.ts';
import { createApp, createOperations, readiness } from './routes.ts';

export interface EdgeOptions {
  /** First path segment of transform URLs; part of what is signed. Default `i`. */
  readonly prefix?: string | undefined;
  /** The first signs, all verify. Needed unless `unsafe`. */
  readonly keys?: readonly UrlKey[] | undefined;
  /** Answers unsigned URLs, whatever they ask. For development: anyone could make the server work for them. */
  readonly unsafe?: boolean | undefined;
  /** What may be asked without a signature, by browser-side loaders. */
  readonly unsigned?: UnsignedRules | undefined;
  /** Named options, each written like a URL's options segment. */
  readonly presets?: Readonly<Record<string, string>> | undefined;
  /** Where originals are read; see `createSources`. */
  readonly source: Source;
  /** Where results are kept. */
  readonly store: ObjectStore;
  /** Where jobs and leases are kept, with conditional writes; `store` by default. */
  readonly coordination?: ObjectStore | undefined;
  /** Where images are made, in order of preference. */
  readonly backends: readonly Backend[];
  readonly codec: Codec;
  /** Names the weights in result keys; needed where anything is restored. */
  readonly models?: Models | undefined;
  readonly caps?: Partial<Caps> | undefined;
  /** Seconds that a source is trusted without asking. Default one hour. */
  readonly sourceTtl?: number | undefined;
  /** Milliseconds that a page's request waits before it gets an interim answer. Default 5,000. */
  readonly syncWait?: number | undefined;
  /** Milliseconds that any request waits. Default 60,000. */
  readonly deadline?: number | undefined;
  /** Milliseconds that work may take after its request has gone. Default 10 min. */
  readonly jobDeadline?: number | undefined;
  /** Images restored at once, and waiting for that. Default 2 and 256. */
  readonly concurrency?: number | undefined;
  readonly queue?: number | undefined;
  /** Images decoded, fitted and encoded at once, and waiting for that. Default 2 and 1,024. */
  readonly codecConcurrency?: number | undefined;
  readonly codecQueue?: number | undefined;
  /** Most bytes of sources that wait for their turn. Default 256 MiB. */
  readonly heldBytes?: number | undefined;
  /**
   * Whether a restored photo is kept, so that each further size, format and quality of it takes no network. Default true; not
   * for isolates, whose memory it does not fit.
   */
  readonly restoreOnce?: boolean | undefined;
  /** Most bytes of restored photos in memory, for those that are asked for in several sizes at once. Default 0. */
  readonly recentBytes?: number | undefined;
  readonly rate?: RateLimit | undefined;
  /** Default `process`. */
  readonly background?: Background | undefined;
  /** Origins whose scripts may read answers; none by default. */
  readonly cors?: { readonly origins: readonly string[] } | undefined;
  readonly metrics?: Metrics | undefined;
  /** Serves `/metrics`; a reverse proxy should keep it inside. */
  readonly scrape?: (() => Promise<{ readonly type: string; readonly body: string }>) | undefined;
  /** Only {@link Edge.operations} serves `/metrics`. */
  readonly scrapeApart?: boolean | undefined;
  /** Serves a page with a URL playground at `/`; it signs whatever it is asked to, so never on a public server. */
  readonly dev?: boolean | undefined;
  /** Sources that this page offers. */
  readonly samples?: (() => Promise<readonly string[]>) | undefined;
  /** Told of every transform request that was answered; see `createLogger` of `@elfin/edge/node`. */
  readonly log?: ((entry: AccessEntry) => void) | undefined;
  /** Milliseconds of a lease; see `createJobs`. */
  readonly lease?: number | undefined;
}

export interface Edge {
  /** Mounts into any other Hono app (`app.route('/images', edge.app)`). */
  readonly app: Hono;
  /** As a Worker's `fetch`: `context.waitUntil` takes what goes on behind an answer; without it, outside Node, the answer waits. */
  readonly fetch: (
    request: Request,
    env?: unknown,
    context?: { waitUntil(work: Promise<unknown>): void },
  ) => Response | Promise<Response>;
  /** `/livez`, `/readyz` and `/metrics` alone, for a port that only the inside reaches. */
  readonly operations: Hono;
  /** Undefined where there are no keys. */
  readonly signer: Signer | undefined;
  readonly results: ResultStore;
  /** Does queued work, for a queue's consumer. Errors: what the work throws where another try may help. */
  consume(message: QueueMessage): Promise<void>;
  /** Checks that the stores keep their promises. Errors: STORE_UNSUITABLE, STORE_FAILED. */
  probe(): Promise<void>;
  /** Waits for what is being written behind answers. */
  flush(): Promise<void>;
  /** Refuses new requests and waits for work under way, at most `ms`. */
  drain(ms?: number): Promise<void>;
  /** Restorations waiting for their turn. */
  readonly queued: number;
  readonly lanes: Readonly<Record<'network' | 'codec' | 'fetch', Limiter>>;
  /** Whether the store is got by without just now. */
  readonly storeState: StoreState;
}

export const DEFAULT_CAPS: Caps = { sourceBytes: 25_000_000, sourcePixels: 50_000_000, resultSide: 8192 };

/**
 * Puts transform URLs together. Everything that differs between Node, Cloudflare and Lambda comes in through the options.
 * Errors: CONFIG_INVALID for missing keys, a bad prefix, preset or rule.
 *
 * @example
 * const edge = createEdge({ keys, source, store, backends: [createLocalBackend({ codec })], codec });
 * const response = await edge.fetch(new Request('https://img.example.com/i/…'));
 */
export function createEdge(options: EdgeOptions): Edge {
  const { prefix = 'i', metrics = NO_METRICS } = options;
  checkOptions(options, prefix);
  const signer = options.keys?.length ? createSigner({ keys: options.keys, prefix }) : undefined;
  const coordination = options.coordination ?? options.store;
  const jobs = createJobs({ store: coordination, lease: options.lease });
  const lanes = createLanes(options);
  const guard = createStoreGuard(metrics);
  const results = createResultStore(options.store);
  const working = new Set<Promise<unknown>>();
  const writing = new Set<Promise<unknown>>();
  let draining = false;
  const core = { options, prefix, metrics, signer, jobs, lanes, guard, results };
  const handler = openHandler({
    ...core,
    track: keepIn(working),
    trackWrite: keepIn(working, writing),
    draining: () => draining,
  });
  const ready = () => readiness({ draining, backends: options.backends, store: guard.state });
  const app = createApp({ ...options, prefix, signer, jobs, handler, ready });
  return {
    app,
    operations: createOperations({ ready, scrape: options.scrape }),
    fetch: (request, _, context) => app.fetch(request, {}, context && executionContext(context)),
    signer,
    results,
    lanes,
    consume: (message) => handler.runJob(message),
    async probe() {
      await probeConditionalWrites(coordination, 'probe/');
      if (coordination !== options.store) await probeConditionalWrites(options.store, 'probe/');
    },
    async flush() {
      while (writing.size > 0) await Promise.allSettled(writing);
    },
    async drain(ms = 30_000) {
      draining = true;
      await settleWithin(working, ms);
    },
    get queued() {
      return lanes.network.queued;
    },
    get storeState() {
      return guard.state;
    },
  };
}

/** Errors: CONFIG_INVALID. */
function checkOptions({ keys, unsafe }: EdgeOptions, prefix: string): void {
  if (!/^[a-z0-9_-]{1,32}$/.test(prefix)) {
    throw new ElfinError('CONFIG_INVALID', 'The prefix is one path segment of lower-case letters, digits, - and _.');
  }
  if (keys?.length || unsafe) return;
  throw new ElfinError(
    'CONFIG_INVALID',
    'Transform URLs need keys, or anyone could make this server work for them: set ELFIN_URL_KEYS, or for development ELFIN_UNSAFE=1.',
  );
}

/** One for each thing that there is little of: network time, codec time, connections. */
function createLanes(options: EdgeOptions): Edge['lanes'] {
  const { concurrency = 2, queue = 256, codecConcurrency = 2, codecQueue = 1024 } = options;
  return {
    network: createLimiter({ concurrency, queue }),
    codec: createLimiter({ concurrency: codecConcurrency, queue: codecQueue }),
    fetch: createLimiter({ concurrency: 32, queue: 4096 }),
  };
}

interface Parts {
  readonly options: EdgeOptions;
  readonly prefix: string;
  readonly metrics: Metrics;
  readonly signer: Signer | undefined;
  readonly jobs: Jobs;
  readonly lanes: Edge['lanes'];
  readonly guard: ReturnType<typeof createStoreGuard>;
  readonly results: ResultStore;
  readonly track: (work: Promise<unknown>) => void;
  readonly trackWrite: (work: Promise<unknown>) => void;
  readonly draining: () => boolean;
}

function openHandler(parts: Parts): Handler {
  const { options, metrics, jobs, track, trackWrite } = parts;
  const { background = { kind: 'process' }, sourceTtl = 3600 } = options;
  const shared = background.kind === 'process';
  return createHandler({
    prefix: parts.prefix,
    signer: parts.signer,
    unsafe: options.unsafe ?? false,
    unsigned: options.unsigned && createUnsignedGate(options.unsigned),
    presets: parsePresets(options.presets ?? {}),
    maxSide: { ...DEFAULT_CAPS, ...options.caps }.resultSide,
    pipeline: openPipeline(parts, shared, sourceTtl),
    flight: createFlight<RunResult>({
      jobs,
      shared,
      track,
      trackWrite,
      onTrouble: (error) => metrics.trouble('jobs', asElfinError(error).code),
    }),
    background,
    rate: options.rate,
    sourceTtl,
    syncWait: options.syncWait ?? 5_000,
    deadline: options.deadline ?? 60_000,
    jobDeadline: options.jobDeadline ?? 600_000,
    metrics,
    log: options.log,
    trackWrite,
    draining: parts.draining,
  });
}

function openPipeline({ options, metrics, lanes, guard, results }: Parts, shared: boolean, sourceTtl: number) {
  const { codec, models, store, source, restoreOnce = true, recentBytes = 0, heldBytes = 256 * 1024 * 1024 } = options;
  const caps: Caps = { ...DEFAULT_CAPS, ...options.caps };
  const budget = createBudget(heldBytes);
  return createPipeline({
    sources: createSourceReader({ source, codec, maxBytes: caps.sourceBytes, lane: lanes.fetch, budget, shared }),
    results,
    pictures: restoreOnce ? createPictureStore({ store, codec }) : undefined,
    fallback: createFallback(options.backends),
    codec,
    models,
    fingerprint: createFingerprint({ codec, models }),
    caps,
    sourceTtl,
    networkLane: lanes.network,
    codecLane: lanes.codec,
    shared,
    guard,
    recent: createRecent(recentBytes),
    metrics,
  });
}

/** Holds work in sets until it is done. */
const keepIn =
  (...sets: readonly Set<Promise<unknown>>[]) =>
  (work: Promise<unknown>): void => {
    const forget = () => {
      for (const set of sets) set.delete(work);
    };
    for (const set of sets) set.add(work);
    work.then(forget, forget);
  };

/** Waits until all of it is done, at most `ms`. */
async function settleWithin(work: ReadonlySet<Promise<unknown>>, ms: number): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([Promise.allSettled(work), late]);
  clearTimeout(timer);
}

const executionContext = (context: { waitUntil(work: Promise<unknown>): void }) => ({
  waitUntil: (work: Promise<unknown>) => context.waitUntil(work),
  passThroughOnException() {},
  props: {},
});
