import type {
  DurableObjectNamespace,
  ExecutionContext,
  MessageBatch,
  Queue,
  R2Bucket,
  CacheStorage as WorkersCaches,
} from '@cloudflare/workers-types';
import {
  type AnalyticsDataset,
  type ComposedEdge,
  composeEdge,
  createAnalyticsMetrics,
  createTieredStore,
  type QueueMessage,
  readConfig,
} from '@elfin/edge';
import { createCacheApiStore, createR2Store } from '@elfin/storage';
import { createDurableStore, StoreObject } from '@elfin/storage/workerd';
import { codec, models, RESTORE_PIXELS, restorer } from './platform.ts';

export { StoreObject };

/** Bindings of the root `wrangler.toml`; further R2 buckets are sources named `r2://<binding>/<key>`. */
export interface Env {
  readonly RESULTS: R2Bucket;
  readonly JOBS: Queue<QueueMessage>;
  readonly RECORDS: DurableObjectNamespace;
  readonly ANALYTICS?: AnalyticsDataset;
  /** `ELFIN_*`, see docs/deploy.md. */
  readonly [name: string]: unknown;
}

/** Largest image that is decoded here at all: memory is 128 MB, with the network's share already taken. */
const LOCAL_PIXELS = 3_000_000;

const isBucket = (value: unknown): value is R2Bucket =>
  typeof value === 'object' && value !== null && 'createMultipartUpload' in value;

/** The data centre's cache, which the page's `CacheStorage` does not have. */
const cache = (caches as unknown as WorkersCaches).default as unknown as Cache;

let edge: ComposedEdge | undefined;

/** One app an isolate: its bindings do not change while it lives. */
function open(env: Env): ComposedEdge {
  edge ??= composeEdge(
    readConfig(env),
    {
      codec,
      models,
      restorer,
      store: createTieredStore(createCacheApiStore({ cache }), createR2Store({ bucket: env.RESULTS })),
      coordination: createDurableStore(env.RECORDS),
      r2(binding) {
        const bucket = binding === 'RESULTS' ? undefined : env[binding];
        return isBucket(bucket) ? createR2Store({ bucket }) : undefined;
      },
      localPixels: LOCAL_PIXELS,
      restorePixels: RESTORE_PIXELS,
      restoresFirst: true,
      // A restored picture and its source do not both fit into an isolate.
      restoreOnce: false,
    },
    {
      background: {
        kind: 'queue',
        send: async (message) => void (await env.JOBS.send(message, { contentType: 'json' })),
      },
      ...(env.ANALYTICS ? { metrics: createAnalyticsMetrics(env.ANALYTICS) } : {}),
    },
  );
  return edge;
}

export default {
  fetch: (request: Request, env: Env, context: ExecutionContext) => open(env).fetch(request, env, context),

  /** Work that took longer than its request. A failure that may pass goes back; after the last try, to the dead letters. */
  async queue(batch: MessageBatch<QueueMessage>, env: Env): Promise<void> {
    for (const message of batch.messages) {
      try {
        await open(env).consume(message.body);
        message.ack();
      } catch {
        message.retry({ delaySeconds: 5 * message.attempts });
      }
    }
  },
};
