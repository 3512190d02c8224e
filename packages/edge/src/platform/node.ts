import { stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { ElfinError, type Models, type Runtime } from '@elfin/core';
import { createRestorer, loadSharpCodec } from '@elfin/core/node';
import {
  createMemoryStore,
  createS3Store,
  type ObjectStore,
  presignS3,
  type S3Credentials,
  type S3StoreOptions,
} from '@elfin/storage';
import { createFolderStore, createNodeSend } from '@elfin/storage/node';
import type { EdgeOptions } from '../http/edge.ts';
import { createPrometheus } from '../http/prometheus.ts';
import { createTieredStore } from '../result/tiered.ts';
import { createFolderSource, listPhotos } from '../source/folder.ts';
import { createPinnedFetch } from '../source/pinned-fetch.ts';
import { createAccessLog } from './access-log.ts';
import { type ComposedEdge, composeEdge, localConcurrency, s3Endpoint } from './compose.ts';
import { type EdgeConfig, readConfig } from './config.ts';
import { type Listening, listen } from './listen.ts';

export { createPrometheus } from '../http/prometheus.ts';
export { createFolderSource } from '../source/folder.ts';
export { createPinnedFetch } from '../source/pinned-fetch.ts';
export { createAccessLog, type LogFormat } from './access-log.ts';

export interface NodeEdgeOptions {
  /** Configuration; `process.env` by default. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** The weights, for example `createModels()` of `@elfin/models/node`. Without them images are only fitted and encoded. */
  readonly models?: Models | undefined;
  /** onnxruntime-node by default. */
  readonly runtime?: Runtime | undefined;
  /** Folder that sources without a scheme are read from, unless `ELFIN_ORIGIN` is set. */
  readonly root?: string;
  /** Overrides, for example `dev`. */
  readonly edge?: Partial<EdgeOptions>;
}

export interface NodeEdge {
  readonly edge: ComposedEdge;
  readonly config: EdgeConfig;
  /** Finishes work under way and frees everything. */
  close(): Promise<void>;
}

/** How long a presigned URL holds: as long as a redirect to it may be kept, and some. */
const PRESIGNED_SECONDS = 300;

/** Most bytes of restored photos in memory: a page that asks for one in several sizes asks for them at once. */
const RECENT_BYTES = 128 * 1024 * 1024;
/** Large images whose tiles are on their way to workers at once; their pixels are here meanwhile. */
const REMOTE_IMAGES = 2;

/** Photos that the development page shows of a folder. */
const SAMPLES = 24;

function awsCredentials(env: Readonly<Record<string, string | undefined>>): S3Credentials | undefined {
  const {
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_SESSION_TOKEN: sessionToken,
  } = env;
  if (!accessKeyId || !secretAccessKey) return undefined;
  return { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) };
}

/** The bucket that `ELFIN_STORE` names; undefined for a folder. Errors: CONFIG_INVALID. */
function bucketOf(config: EdgeConfig, credentials: S3Credentials | undefined): S3StoreOptions | undefined {
  const s3 = /^s3:\/\/([^/]+)(?:\/(.*))?$/.exec(config.ELFIN_STORE ?? '');
  if (!s3) return undefined;
  if (!credentials)
    throw new ElfinError(
      'CONFIG_INVALID',
      'ELFIN_STORE names a bucket, so AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are needed.',
    );
  const [, bucket = '', prefix = ''] = s3;
  return { ...s3Endpoint(config), bucket, prefix: prefix && `${prefix.replace(/\/$/, '')}/`, credentials };
}

function openStore(config: EdgeConfig, credentials: S3Credentials | undefined): ObjectStore {
  const maxBytes = config.ELFIN_STORE_MAX_BYTES ?? 2 * 1024 ** 3;
  const front = createMemoryStore({ maxBytes: Math.min(256 * 1024 * 1024, maxBytes / 16) });
  const bucket = bucketOf(config, credentials);
  const back = bucket
    ? createS3Store({ ...bucket, send: createNodeSend() })
    : createFolderStore({ root: resolve(config.ELFIN_STORE ?? '.elfin/results'), maxBytes });
  return createTieredStore(front, back);
}

const configOf = (env: Readonly<Record<string, string | undefined>>) =>
  readConfig({ ELFIN_S3_REGION: env.AWS_REGION, ...env });

/** What makes URLs of stored results for those who may not ask the bucket; undefined where results lie in a folder. */
export function presignResults(
  env: Readonly<Record<string, string | undefined>>,
): ((key: string) => Promise<string>) | undefined {
  const bucket = bucketOf(configOf(env), awsCredentials(env));
  return bucket && ((key) => presignS3(bucket, key, PRESIGNED_SECONDS));
}

/** The result store that a server with this environment uses, for `elfin purge`. Errors: CONFIG_INVALID. */
export function openResultStore(env: Readonly<Record<string, string | undefined>> = process.env): ObjectStore {
  return openStore(configOf(env), awsCredentials(env));
}

/**
 * The embedded default: sharp, onnxruntime-node, results in a folder, no other service. The store is probed before the
 * first request. Errors: CONFIG_INVALID, STORE_UNSUITABLE, STORE_FAILED, RUNTIME_UNAVAILABLE.
 */
export async function createNodeEdge(options: NodeEdgeOptions = {}): Promise<NodeEdge> {
  const env = options.env ?? process.env;
  const config = configOf(env);
  if (options.root !== undefined) await checkFolder(options.root);
  const credentials = awsCredentials(env);
  const codec = await loadSharpCodec();
  const { models, root } = options;
  const restorer =
    models &&
    createRestorer({
      models,
      codec,
      concurrency: localConcurrency(config),
      ...(options.runtime && { runtime: options.runtime }),
    });
  const fetch = createPinnedFetch({ networks: config.ELFIN_PRIVATE_SOURCES });
  const metrics = createPrometheus({ process: true });
  const edge = composeEdge(
    config,
    {
      codec,
      store: openStore(config, credentials),
      fetch,
      models,
      restorer,
      remoteRestorer: models && ((runtime) => createRestorer({ models, codec, runtime, concurrency: REMOTE_IMAGES })),
      folder: root === undefined ? undefined : createFolderSource({ root }),
      credentials,
      codecConcurrency: Math.max(2, availableParallelism()),
    },
    {
      metrics,
      scrape: metrics.scrape,
      scrapeApart: config.ELFIN_METRICS_PORT !== undefined,
      samples: async () => (root === undefined ? [] : listPhotos(root, SAMPLES)),
      recentBytes: RECENT_BYTES,
      log: config.ELFIN_LOG && createAccessLog(config.ELFIN_LOG, (line) => process.stderr.write(line)),
      ...options.edge,
    },
  );
  const STATES = { closed: 0, 'half-open': 1, open: 2 } as const;
  metrics.watch({
    lanes: () => edge.lanes,
    storeFailing: () => edge.storeState.failing,
    breakers: () =>
      edge.pools.flatMap((pool) => pool.state().map(({ url, breaker }) => ({ endpoint: url, state: STATES[breaker] }))),
  });
  await edge.probe();
  return {
    edge,
    config,
    async close() {
      await edge.drain();
      await Promise.all([restorer?.dispose(), fetch.close()]);
    },
  };
}

/** Errors: CONFIG_INVALID for a source folder that is not there, or is a file. */
async function checkFolder(root: string): Promise<void> {
  const found = await stat(root).catch((cause: unknown) => {
    throw new ElfinError('CONFIG_INVALID', `There is no folder ${root} to read photos from.`, { cause });
  });
  if (!found.isDirectory()) throw new ElfinError('CONFIG_INVALID', `${root} is a file, not a folder of photos.`);
}

export interface ServeOptions extends NodeEdgeOptions {
  /** Loopback by default. */
  readonly host?: string;
  /** 0 takes a free one. Default 8080. */
  readonly port?: number;
}

export interface Server extends NodeEdge {
  readonly url: string;
  /** Where `/metrics` is, if ELFIN_METRICS_PORT gives it a port of its own. */
  readonly metricsUrl?: string | undefined;
}

/** Listens. Whoever calls this also closes it, on SIGTERM for example. Errors: as `createNodeEdge`; CONFIG_INVALID for a taken port. */
export async function serve(options: ServeOptions = {}): Promise<Server> {
  const { host = '127.0.0.1', port = 8080 } = options;
  const node = await createNodeEdge(options);
  const listening: Listening[] = [];
  const end = async () => {
    // New requests are refused while those under way are finished; only then do the sockets go.
    await node.close();
    await Promise.all(listening.map((one) => one.close()));
  };
  try {
    const { url } = await open({ fetch: node.edge.fetch, host, port });
    const inner = node.config.ELFIN_METRICS_PORT;
    const metricsUrl =
      inner === undefined ? undefined : (await open({ fetch: node.edge.operations.fetch, host, port: inner })).url;
    return { ...node, url, metricsUrl, close: end };
  } catch (error) {
    await end();
    throw error;
  }

  async function open(on: Parameters<typeof listen>[0]): Promise<Listening> {
    const one = await listen(on);
    listening.push(one);
    return one;
  }
}
