import type { MessageBatch, R2Bucket } from '@cloudflare/workers-types';
import { ElfinError } from '@elfin/core';
import { createRemoteRuntime } from '@elfin/core/remote';
import { createRemoteUploadRestorer, createTrigger, createUploadRestorer, rulesFromJson } from '@elfin/plugins';
import { createQueueConsumer } from '@elfin/plugins/cloudflare';
import { createR2Store, type R2BucketLike } from '@elfin/storage';
import { codec, models, RESTORE_PIXELS, restorer } from './platform.ts';

/** Bindings of `uploads.toml`. */
interface Env {
  readonly PHOTOS: R2Bucket;
  /** The bucket's name, as R2's notifications give it. */
  readonly ELFIN_BUCKET: string;
  /** A JSON array of rules, see docs/plugins.md. */
  readonly ELFIN_RULES: string;
  /**
   * Machines that run `elfin worker`, separated by commas. Without them only images of one tile are restored, here; larger
   * ones go to the dead letters.
   */
  readonly ELFIN_WORKERS?: string;
  readonly ELFIN_WORKER_TOKEN?: string;
  /** How long the claim of a consumer that died keeps others from its photo. Default 120. */
  readonly ELFIN_CLAIM_SECONDS?: string;
}

/** Restores what R2 tells of. */
const consume = createQueueConsumer((env: Env) => {
  const storage = createR2Store({ bucket: env.PHOTOS as unknown as R2BucketLike });
  const urls = env.ELFIN_WORKERS?.split(',').map((url) => url.trim());
  const token = env.ELFIN_WORKER_TOKEN;
  const endpoints =
    urls && createRemoteRuntime({ endpoints: urls.map((url) => ({ url, ...(token && { token }) })) }).endpoints;
  return createTrigger({
    rules: rulesFromJson(env.ELFIN_RULES, 'ELFIN_RULES'),
    storage: (bucket) => (bucket === env.ELFIN_BUCKET ? storage : undefined),
    restorer: endpoints
      ? createRemoteUploadRestorer({ endpoints, codec, models })
      : createUploadRestorer({ restorer, codec, models, maxPixels: RESTORE_PIXELS }),
    claims: { ttlMs: secondsOf(env.ELFIN_CLAIM_SECONDS ?? '120') * 1000 },
    // An isolate has 128 MB: what is encoded passes through, one image after the other.
    memory: 64 * 1024 * 1024,
    concurrency: 2,
  });
});

export default {
  queue: (batch: MessageBatch, env: Env): Promise<void> => consume(batch, env),
};

function secondsOf(text: string): number {
  const seconds = Number(text);
  if (seconds > 0 && seconds <= 3600) return seconds;
  throw new ElfinError('CONFIG_INVALID', `ELFIN_CLAIM_SECONDS is from 1 to 3600, not "${text}".`);
}
