import { type Codec, ElfinError, type Models } from '@elfin/core';
import { type ObjectStore, probeConditionalWrites } from '@elfin/storage';
import { Hono } from 'hono';
import { cors } from 'hono/cors';
import { routePath } from 'hono/route';
import { createLadder, type Place } from '../backends/backend.ts';
import { landingPage } from '../playground/playground.ts';
import { createFlight } from '../result/flight.ts';
import { createGate, type RateLimit } from '../result/gate.ts';
import { createJobs } from '../result/jobs.ts';
import { type Caps, createPipeline, type Finished, type Interim } from '../result/pipeline.ts';
import { createResultStore, type ResultStore } from '../result/store.ts';
import type { Source } from '../source/source.ts';
import { createSigner, type Signer, type UrlKey } from '../url/sign.ts';
import { parsePresets } from '../url/transform.ts';
import { createUnsignedGate, type UnsignedRules } from '../url/unsigned.ts';
import { answerError } from './answer.ts';
import { type Background, createHandler, type QueueMessage } from './handler.ts';
import { EXPOSED, SECURITY } from './headers.ts';
import { routeJobs } from './jobs-api.ts';
import { type Metrics, NO_METRICS } from './metrics.ts';
import { openApi } from './openapi.ts';
import { routeOperations } from './operations.ts';

export interface EdgeOptions {
  /** First path segment of transform URLs; part of what is signed. Default `i`. */
  readonly prefix?: string;
  /** The first signs, all verify. Needed unless `unsafe`. */
  readonly keys?: readonly UrlKey[];
  /** Answers unsigned URLs, whatever they ask. For development: anyone could make the server work for them. */
  readonly unsafe?: boolean;
  /** What may be asked without a signature, by browser-side loaders. */
  readonly unsigned?: UnsignedRules;
  /** Named options, each written like a URL's options segment. */
  readonly presets?: Readonly<Record<string, string>>;
  /** Where originals are read; see `createSources`. */
  readonly source: Source;
  /** Where results are kept. */
  readonly store: ObjectStore;
  /** Where jobs and leases are kept, with conditional writes; `store` by default. */
  readonly coordination?: ObjectStore;
  /** Where images are made, in order of preference. */
  readonly places: readonly Place[];
  readonly codec: Pick<Codec, 'name' | 'version' | 'formats' | 'probe'>;
  /** Names the weights in result keys; needed where anything is restored. */
  readonly models?: Models;
  readonly caps?: Partial<Caps>;
  /** Seconds that a source is trusted without asking. Default one hour. */
  readonly sourceTtl?: number;
  /** Milliseconds that a page's request waits before it gets an interim answer. Default 5,000. */
  readonly syncWait?: number;
  /** Milliseconds that any request waits. Default 60,000. */
  readonly deadline?: number;
  /** Milliseconds that work may take after its request has gone. Default 10 min. */
  readonly jobDeadline?: number;
  /** Images made at once, and waiting. Default 2 and 64. */
  readonly concurrency?: number;
  readonly queue?: number;
  readonly rate?: RateLimit;
  /** Default `process`. */
  readonly background?: Background;
  /** Origins whose scripts may read answers; none by default. */
  readonly cors?: { readonly origins: readonly string[] };
  readonly metrics?: Metrics;
  /** Serves `/metrics`; a reverse proxy should keep it inside. */
  readonly scrape?: (() => Promise<{ readonly type: string; readonly body: string }>) | undefined;
  /** Only {@link Edge.operations} serves `/metrics`. */
  readonly scrapeApart?: boolean;
  /** Serves a page with a URL playground at `/`; it signs whatever it is asked to, so never on a public server. */
  readonly dev?: boolean;
  /** Sources that this page offers. */
  readonly samples?: () => Promise<readonly string[]>;
  /** Milliseconds of a lease; see `createJobs`. */
  readonly lease?: number;
}

export interface Edge {
  /** Mounts into any other Hono app (`app.route('/images', edge.app)`). */
  readonly app: Hono;
  readonly fetch: (request: Request) => Response | Promise<Response>;
  /** `/livez`, `/readyz` and `/metrics` alone, for a port that only the inside reaches. */
  readonly operations: Hono;
  /** Undefined where there are no keys. */
  readonly signer: Signer | undefined;
  readonly results: ResultStore;
  /** Does queued work, for a queue's consumer. Errors: what the work throws where another try may help. */
  consume(message: QueueMessage): Promise<void>;
  /** Checks that the stores keep their promises. Errors: STORE_UNSUITABLE, STORE_FAILED. */
  probe(): Promise<void>;
  /** Refuses new requests and waits for work under way, at most `ms`. */
  drain(ms?: number): Promise<void>;
  /** Work waiting for its turn. */
  readonly queued: number;
}

export const DEFAULT_CAPS: Caps = { sourceBytes: 25_000_000, sourcePixels: 50_000_000, resultSide: 8192 };

/**
 * Puts transform URLs together. Everything that differs between Node, Cloudflare and Lambda comes in through the options.
 * Errors: CONFIG_INVALID for missing keys, a bad prefix, preset or rule.
 */
export function createEdge(options: EdgeOptions): Edge {
  const { prefix = 'i', metrics = NO_METRICS, background = { kind: 'process' }, sourceTtl = 3600 } = options;
  if (!/^[a-z0-9_-]{1,32}$/.test(prefix)) {
    throw new ElfinError('CONFIG_INVALID', 'The prefix is one path segment of lower-case letters, digits, - and _.');
  }
  if (!options.keys?.length && !options.unsafe) {
    throw new ElfinError(
      'CONFIG_INVALID',
      'Transform URLs need keys, or anyone could make this server work for them: set ELFIN_URL_KEYS, or for development ELFIN_UNSAFE=1.',
    );
  }
  const caps: Caps = { ...DEFAULT_CAPS, ...options.caps };
  const signer = options.keys?.length ? createSigner({ keys: options.keys, prefix }) : undefined;
  const results = createResultStore(options.store);
  const coordination = options.coordination ?? options.store;
  const jobs = createJobs({ store: coordination, ...(options.lease === undefined ? {} : { lease: options.lease }) });
  const { concurrency = 2, queue = 64 } = options;
  const gate = createGate({ concurrency, queue });
  const shared = background.kind === 'process';
  const pipeline = createPipeline({
    source: options.source,
    results,
    ladder: createLadder(options.places),
    codec: options.codec,
    ...(options.models ? { models: options.models } : {}),
    caps,
    sourceTtl,
    gate,
    shared,
    fetchGate: createGate({ concurrency: 32, queue: 1024 }),
    interimGate: createGate({ concurrency: 2, queue: 64 }),
    metrics,
  });
  const working = new Set<Promise<unknown>>();
  let draining = false;
  const flight = createFlight<Finished | Interim>({
    jobs,
    shared,
    track(work) {
      working.add(work);
      void work.finally(() => working.delete(work));
    },
  });
  const handler = createHandler({
    prefix,
    ...(signer ? { signer } : {}),
    unsafe: options.unsafe ?? false,
    ...(options.unsigned ? { unsigned: createUnsignedGate(options.unsigned) } : {}),
    presets: parsePresets(options.presets ?? {}),
    maxSide: caps.resultSide,
    pipeline,
    flight,
    background,
    ...(options.rate ? { rate: options.rate } : {}),
    sourceTtl,
    syncWait: options.syncWait ?? 5_000,
    deadline: options.deadline ?? 60_000,
    jobDeadline: options.jobDeadline ?? 600_000,
    metrics,
    draining: () => draining,
  });

  const app = new Hono();
  if (options.cors) {
    app.use(
      '*',
      cors({
        origin: [...options.cors.origins],
        exposeHeaders: [...EXPOSED],
        allowHeaders: ['Prefer', 'If-None-Match'],
        allowMethods: ['GET', 'HEAD', 'POST'],
      }),
    );
  }
  const ready = () => {
    if (draining) return 'draining';
    return options.places.some((place) => place.available()) ? 'ok' : 'no place to work';
  };
  const { scrape } = options;
  const operations = routeOperations(new Hono(), { ready, scrape });
  routeOperations(app, { ready, scrape: options.scrapeApart ? undefined : scrape });
  app.get('/openapi.json', (c) =>
    c.json(openApi({ prefix }), 200, { ...SECURITY, 'cache-control': 'public, max-age=300' }),
  );
  if (options.dev) {
    const { samples } = options;
    landingPage(app, { prefix, ...(signer ? { signer } : {}), ...(samples ? { samples } : {}) });
  }
  routeJobs(app, jobs, { prefix, signer, unsafe: options.unsafe ?? false });
  app.get(`/${prefix}/*`, (c) => {
    const route = routePath(c);
    return handler.answer(c.req.raw, route.slice(0, route.length - `${prefix}/*`.length));
  });
  const unsupported = (allow: string) => () =>
    answerError(new ElfinError('METHOD_UNSUPPORTED', `Only ${allow} are answered here.`, { data: { allow } }));
  app.all(`/${prefix}/*`, unsupported('GET, HEAD'));
  app.notFound((c) => answerError(new ElfinError('ROUTE_UNKNOWN', `There is nothing at ${c.req.path.slice(0, 100)}.`)));
  app.onError((error) => answerError(error));

  return {
    app,
    operations,
    fetch: (request) => app.fetch(request),
    signer,
    results,
    consume: (message) => handler.consume(message),
    async probe() {
      await probeConditionalWrites(coordination, 'probe/');
      if (coordination !== options.store) await probeConditionalWrites(options.store, 'probe/');
    },
    async drain(ms = 30_000) {
      draining = true;
      let timer: ReturnType<typeof setTimeout> | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, ms);
      });
      await Promise.race([Promise.all(working), late]);
      clearTimeout(timer);
    },
    get queued() {
      return gate.queued;
    },
  };
}
