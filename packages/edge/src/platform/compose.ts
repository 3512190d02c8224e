import type { Codec, Models, Runtime } from '@elfin/core';
import { createRemoteRuntime, type Endpoints } from '@elfin/core/remote';
import { createS3Store, type ObjectStore, type S3Credentials } from '@elfin/storage';
import type { Backend } from '../backends/backend.ts';
import { createLocalBackend, type PixelRestorer } from '../backends/local.ts';
import { createTileBackend } from '../backends/tiles.ts';
import { createWorkerBackend } from '../backends/whole-image.ts';
import { createEdge, DEFAULT_CAPS, type Edge, type EdgeOptions } from '../http/edge.ts';
import { createRateLimit } from '../result/rate-limit.ts';
import { createHttpSource, type HttpSourceOptions } from '../source/http.ts';
import { createObjectSource } from '../source/object.ts';
import { createSources, type Source } from '../source/source.ts';
import type { EdgeConfig } from './config.ts';

/** What a platform brings along; the rest is configuration. */
export interface Platform {
  readonly codec: Codec;
  readonly models?: Models | undefined;
  readonly restorer?: PixelRestorer | undefined;
  readonly store: ObjectStore;
  readonly coordination?: ObjectStore | undefined;
  readonly fetch?: HttpSourceOptions['fetch'] | undefined;
  /** Reads names without a scheme where no origin is configured. */
  readonly folder?: Source | undefined;
  /** R2 buckets by binding. */
  readonly r2?: (binding: string) => ObjectStore | undefined;
  readonly credentials?: (S3Credentials | (() => Promise<S3Credentials>)) | undefined;
  /** Images decoded and encoded at once; processors, where there are several. */
  readonly codecConcurrency?: number | undefined;
  /** See `EdgeOptions.restoreOnce`. */
  readonly restoreOnce?: boolean | undefined;
  /** Largest image that the platform itself can take, and restore. */
  readonly localPixels?: number | undefined;
  readonly restorePixels?: number | undefined;
  /** A restorer over a pool of workers, where tiles may be sent to them: on Node. */
  readonly remoteRestorer?: ((runtime: Runtime) => PixelRestorer) | undefined;
  /** See `LocalPlaceOptions.restoresFirst`. */
  readonly restoresFirst?: boolean | undefined;
}

/**
 * Photos of up to so many pixels come from workers as whole pictures without loss: 4 megapixels are 6 to 8 MB on the wire. Larger
 * ones come as the one result that is asked for.
 */
const PICTURE_PIXELS = 4_000_000;

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
  const { codec, models } = platform;
  const { runtimes, backends } = openBackends(config, platform);
  const workers = runtimes.reduce((sum, { endpoints }) => sum + endpoints.urls.length, 0);
  const edge = createEdge({
    prefix: config.ELFIN_PREFIX,
    keys: config.ELFIN_URL_KEYS,
    unsafe: config.ELFIN_UNSAFE,
    unsigned: config.ELFIN_UNSIGNED,
    presets: config.ELFIN_PRESETS,
    source: openSources(config, platform),
    store: platform.store,
    coordination: platform.coordination,
    backends,
    codec,
    models,
    caps: {
      sourcePixels: config.ELFIN_MAX_SRC_PIXELS ?? DEFAULT_CAPS.sourcePixels,
      sourceBytes: config.ELFIN_MAX_SRC_BYTES ?? DEFAULT_CAPS.sourceBytes,
      resultSide: config.ELFIN_MAX_RESULT_SIDE ?? DEFAULT_CAPS.resultSide,
    },
    sourceTtl: config.ELFIN_SOURCE_TTL,
    syncWait: config.ELFIN_SYNC_WAIT_MS,
    deadline: config.ELFIN_DEADLINE_MS,
    concurrency: config.ELFIN_CONCURRENCY ?? Math.max(1, 2 * workers),
    queue: config.ELFIN_QUEUE,
    codecConcurrency: config.ELFIN_CODEC_CONCURRENCY ?? platform.codecConcurrency,
    codecQueue: config.ELFIN_CODEC_QUEUE,
    restoreOnce: platform.restoreOnce,
    rate: config.ELFIN_RATE && createRateLimit(config.ELFIN_RATE),
    cors: config.ELFIN_CORS_ORIGINS && { origins: config.ELFIN_CORS_ORIGINS },
    ...extra,
  });
  const pools = runtimes.map(({ endpoints }) => endpoints);
  return Object.defineProperty(edge as ComposedEdge, 'pools', { value: pools, enumerable: true });
}

/** How many images this process restores at once: what a restorer is to be given, and what the queue in front of it goes by. */
export const localConcurrency = (config: EdgeConfig): number => config.ELFIN_CONCURRENCY ?? 1;

function openSources(config: EdgeConfig, platform: Platform): Source {
  const { credentials } = platform;
  const allow = [
    ...(config.ELFIN_SOURCES ?? []),
    // Below the folder that it names: the rest of the host was never offered.
    ...(config.ELFIN_ORIGIN ? [config.ELFIN_ORIGIN] : []),
  ];
  const http = createHttpSource({
    allow,
    fetch: platform.fetch,
    networks: config.ELFIN_PRIVATE_SOURCES,
    timeout: config.ELFIN_SOURCE_TIMEOUT_MS,
    base: config.ELFIN_ORIGIN,
    respectCacheControl: config.ELFIN_SOURCE_CACHE_CONTROL !== 'ignore',
  });
  const s3 =
    credentials && createObjectSource((bucket) => createS3Store({ ...s3Endpoint(config), bucket, credentials }));
  const r2 = platform.r2 && createObjectSource(platform.r2);
  return createSources({ allow, sources: { http, path: config.ELFIN_ORIGIN ? http : platform.folder, s3, r2 } });
}

/** Workers first, this process last. */
function openBackends(config: EdgeConfig, platform: Platform) {
  const { codec, models, restorer, restoresFirst } = platform;
  const sourcePixels = config.ELFIN_MAX_SRC_PIXELS ?? DEFAULT_CAPS.sourcePixels;
  const maxPixels = Math.min(sourcePixels, platform.localPixels ?? sourcePixels);
  const token = config.ELFIN_WORKER_TOKEN;
  const attemptMs = config.ELFIN_WORKER_TIMEOUT_MS ?? 180_000;
  const runtimes = (config.ELFIN_WORKERS ?? []).map((urls) =>
    createRemoteRuntime({ attemptMs, endpoints: urls.map((url) => (token ? { url, token } : url)) }),
  );
  const pictures = platform.restoreOnce === false ? undefined : { codec, maxPixels: PICTURE_PIXELS };
  const remote = runtimes.flatMap((runtime, index): Backend[] => {
    const { endpoints } = runtime;
    const name = index === 0 ? 'worker' : `worker-${index + 1}`;
    const spread = config.ELFIN_OFFLOAD !== 'image' && endpoints.urls.length > 1 && platform.remoteRestorer?.(runtime);
    return [
      createWorkerBackend({ endpoints, codec, models, name, maxPixels: sourcePixels, pictures }),
      ...(spread
        ? [createTileBackend({ endpoints, restorer: spread, codec, name: `${name}-tiles`, maxPixels: sourcePixels })]
        : []),
    ];
  });
  const restorePixels = config.ELFIN_LOCAL_PIXELS ?? platform.restorePixels ?? maxPixels;
  const local = createLocalBackend({ codec, maxPixels, restorePixels, restoresFirst, restorer });
  return { runtimes, backends: [...remote, local] };
}
