import type { Codec, Models, Runtime } from '@elfin/core';
import { createRemoteRuntime, type Endpoints } from '@elfin/core/remote';
import { createS3Store, type ObjectStore, type S3Credentials } from '@elfin/storage';
import { createLocalPlace, type PixelRestorer, type Place } from '../backends/backend.ts';
import { createTilePlace } from '../backends/tiles.ts';
import { createWorkerPlace } from '../backends/whole-image.ts';
import { createEdge, type Edge, type EdgeOptions } from '../http/app.ts';
import { createRateLimit } from '../result/gate.ts';
import { createHttpSource, type HttpSourceOptions } from '../source/http.ts';
import { createObjectSource } from '../source/object.ts';
import { createSources, type Source } from '../source/source.ts';
import type { EdgeConfig } from './config.ts';

/** What a platform brings along; the rest is configuration. */
export interface Platform {
  readonly codec: Codec;
  readonly models?: Models;
  readonly restorer?: PixelRestorer;
  readonly store: ObjectStore;
  readonly coordination?: ObjectStore;
  readonly fetch?: HttpSourceOptions['fetch'];
  /** Reads names without a scheme where no origin is configured. */
  readonly folder?: Source;
  /** R2 buckets by binding. */
  readonly r2?: (binding: string) => ObjectStore | undefined;
  readonly credentials?: S3Credentials | (() => Promise<S3Credentials>);
  /** Largest image that the platform itself can take, and restore. */
  readonly localPixels?: number;
  readonly restorePixels?: number;
  /** A restorer over a pool of workers, where tiles may be sent to them: on Node. */
  readonly remoteRestorer?: (runtime: Runtime) => PixelRestorer;
  /** See `LocalPlaceOptions.restoresFirst`. */
  readonly restoresFirst?: boolean;
}

/** An edge with the worker pools behind it, whose breakers metrics want to see. */
export interface ComposedEdge extends Edge {
  readonly pools: readonly Endpoints[];
}

/** The S3 endpoint that a configuration means. */
export function s3Endpoint(config: EdgeConfig): { readonly endpoint: string; readonly region: string } {
  const region = config.ELFIN_S3_REGION ?? 'us-east-1';
  return { region, endpoint: config.ELFIN_S3_ENDPOINT ?? `https://s3.${region}.amazonaws.com` };
}

/**
 * Builds an edge from configuration and platform: the one composition that Node, Cloudflare and Lambda share.
 * Errors: CONFIG_INVALID.
 */
export function composeEdge(config: EdgeConfig, platform: Platform, extra: Partial<EdgeOptions> = {}): ComposedEdge {
  const { codec, credentials } = platform;
  const allow = [
    ...(config.ELFIN_SOURCES ?? []),
    // Below the folder that it names: the rest of the host was never offered.
    ...(config.ELFIN_ORIGIN ? [config.ELFIN_ORIGIN] : []),
  ];
  const http = createHttpSource({
    allow,
    ...(platform.fetch ? { fetch: platform.fetch } : {}),
    ...(config.ELFIN_PRIVATE_SOURCES ? { networks: config.ELFIN_PRIVATE_SOURCES } : {}),
    ...(config.ELFIN_SOURCE_TIMEOUT_MS ? { timeout: config.ELFIN_SOURCE_TIMEOUT_MS } : {}),
    ...(config.ELFIN_ORIGIN ? { base: config.ELFIN_ORIGIN } : {}),
    respectCacheControl: config.ELFIN_SOURCE_CACHE_CONTROL !== 'ignore',
  });
  const path = config.ELFIN_ORIGIN ? http : platform.folder;
  const s3 =
    credentials && createObjectSource((bucket) => createS3Store({ ...s3Endpoint(config), bucket, credentials }));
  const r2 = platform.r2 && createObjectSource(platform.r2);
  const source = createSources({
    allow,
    sources: { http, ...(path ? { path } : {}), ...(s3 ? { s3 } : {}), ...(r2 ? { r2 } : {}) },
  });

  const sourcePixels = config.ELFIN_MAX_SRC_PIXELS ?? 50_000_000;
  const token = config.ELFIN_WORKER_TOKEN;
  const attemptMs = config.ELFIN_WORKER_TIMEOUT_MS ?? 180_000;
  const runtimes = (config.ELFIN_WORKERS ?? []).map((urls) =>
    createRemoteRuntime({ attemptMs, endpoints: urls.map((url) => (token ? { url, token } : url)) }),
  );
  const places: Place[] = runtimes.flatMap((runtime, index) => {
    const { endpoints } = runtime;
    const name = index === 0 ? 'worker' : `worker-${index + 1}`;
    const spread = config.ELFIN_OFFLOAD !== 'image' && endpoints.urls.length > 1 && platform.remoteRestorer?.(runtime);
    return [
      createWorkerPlace({
        endpoints,
        codec,
        ...(platform.models ? { models: platform.models } : {}),
        name,
        maxPixels: sourcePixels,
      }),
      ...(spread
        ? [createTilePlace({ endpoints, restorer: spread, codec, name: `${name}-tiles`, maxPixels: sourcePixels })]
        : []),
    ];
  });
  const maxPixels = Math.min(sourcePixels, platform.localPixels ?? sourcePixels);
  const restorePixels = config.ELFIN_LOCAL_PIXELS ?? platform.restorePixels ?? maxPixels;
  places.push(
    createLocalPlace({
      codec,
      maxPixels,
      restorePixels,
      restoresFirst: platform.restoresFirst ?? false,
      ...(platform.restorer ? { restorer: platform.restorer } : {}),
    }),
  );

  const edge = createEdge({
    ...(config.ELFIN_PREFIX ? { prefix: config.ELFIN_PREFIX } : {}),
    ...(config.ELFIN_URL_KEYS ? { keys: config.ELFIN_URL_KEYS } : {}),
    unsafe: config.ELFIN_UNSAFE ?? false,
    ...(config.ELFIN_UNSIGNED ? { unsigned: config.ELFIN_UNSIGNED } : {}),
    presets: config.ELFIN_PRESETS ?? {},
    source,
    store: platform.store,
    ...(platform.coordination ? { coordination: platform.coordination } : {}),
    places,
    codec,
    ...(platform.models ? { models: platform.models } : {}),
    caps: {
      sourcePixels,
      ...(config.ELFIN_MAX_SRC_BYTES ? { sourceBytes: config.ELFIN_MAX_SRC_BYTES } : {}),
      ...(config.ELFIN_MAX_RESULT_SIDE ? { resultSide: config.ELFIN_MAX_RESULT_SIDE } : {}),
    },
    ...(config.ELFIN_SOURCE_TTL === undefined ? {} : { sourceTtl: config.ELFIN_SOURCE_TTL }),
    ...(config.ELFIN_SYNC_WAIT_MS === undefined ? {} : { syncWait: config.ELFIN_SYNC_WAIT_MS }),
    ...(config.ELFIN_DEADLINE_MS ? { deadline: config.ELFIN_DEADLINE_MS } : {}),
    ...(config.ELFIN_CONCURRENCY ? { concurrency: config.ELFIN_CONCURRENCY } : {}),
    ...(config.ELFIN_QUEUE === undefined ? {} : { queue: config.ELFIN_QUEUE }),
    ...(config.ELFIN_RATE ? { rate: createRateLimit(config.ELFIN_RATE) } : {}),
    ...(config.ELFIN_CORS_ORIGINS ? { cors: { origins: config.ELFIN_CORS_ORIGINS } } : {}),
    ...extra,
  });
  const pools = runtimes.map(({ endpoints }) => endpoints);
  return Object.defineProperty(edge as ComposedEdge, 'pools', { value: pools, enumerable: true });
}
