import { readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createR2Store, type ObjectStore, type R2BucketLike } from '@elfin/storage';
import { convertV4MiniflareOptions, Miniflare } from 'miniflare';
import { unstable_getMiniflareWorkerOptions } from 'wrangler';

const CONFIGURATION = fileURLToPath(new URL('../../../apps/cloudflare/uploads.toml', import.meta.url));

/** Sends what R2 would send, and keeps what the queue gives up. */
const OBSERVER = `export default {
  async queue(batch, env) {
    for (const message of batch.messages) {
      await env.LOG.put('dead/' + message.id, JSON.stringify(message.body));
      message.ack();
    }
  },
};`;

export interface UploadsRuntime {
  readonly photos: ObjectStore;
  /** Bodies of the messages that came to the dead letter queue. */
  dead(): Promise<readonly string[]>;
  send(bodies: readonly object[]): Promise<void>;
  /** Ends workerd at once. What is in the buckets stays, what is in the queue is lost. */
  kill(): Promise<void>;
}

/**
 * The Worker of `apps/cloudflare/uploads.toml`, as it was built, with that file's bindings, limits and queues, in workerd.
 *
 * @param folder Where buckets outlive the runtime.
 * @param vars What `wrangler secret put` and `[vars]` would set beside.
 */
export async function startUploads(folder: string, vars: Readonly<Record<string, string>>): Promise<UploadsRuntime> {
  const { workerOptions, main = '' } = unstable_getMiniflareWorkerOptions(CONFIGURATION);
  const {
    compatibilityDate,
    compatibilityFlags = [],
    bindings,
    ...configured
  } = workerOptions as unknown as Configured;
  const root = dirname(main);
  const others = (await readdir(root)).filter((file) => !file.endsWith('.js'));
  const [[queue, consumer] = []] = Object.entries(configured.queueConsumers);
  if (queue === undefined || consumer === undefined) throw new Error('uploads.toml has no queue.');
  const bucket = configured.r2Buckets.PHOTOS.id;
  const runtime = new Miniflare({
    ...convertV4MiniflareOptions({
      workers: [
        {
          name: 'uploads',
          compatibilityDate,
          compatibilityFlags,
          r2Buckets: { PHOTOS: bucket },
          modulesRoot: root,
          modules: [
            { type: 'ESModule', path: main },
            ...others.map((file) => ({
              type: file.endsWith('.wasm') ? ('CompiledWasm' as const) : ('Data' as const),
              path: join(root, file),
            })),
          ],
          bindings: { ...bindings, ...vars },
          // As configured, but no message waits for others to fill its batch.
          queueConsumers: { [queue]: { ...consumer, maxBatchTimeout: 0 } },
        },
        {
          name: 'observer',
          modules: true,
          script: OBSERVER,
          compatibilityDate,
          queueProducers: { UPLOADS: queue },
          queueConsumers: { [consumer.deadLetterQueue]: { maxBatchSize: 10, maxBatchTimeout: 0 } },
          r2Buckets: { PHOTOS: bucket, LOG: 'log' },
        },
      ],
    }),
    resourcePersistencePath: folder,
  });
  await runtime.ready;
  const bucketOf = async (name: string) =>
    createR2Store({ bucket: (await runtime.getR2Bucket(name, 'observer')) as unknown as R2BucketLike });
  const log = await bucketOf('LOG');
  const producer = await runtime.getQueueProducer('UPLOADS', 'observer');
  return {
    photos: await bucketOf('PHOTOS'),
    async dead() {
      const { objects } = await log.list('dead/');
      return Promise.all(
        objects.map(async ({ key }) => {
          const found = await log.get(key);
          return typeof found === 'object' ? new Response(found.body as BodyInit).text() : '';
        }),
      );
    },
    async send(bodies) {
      for (let start = 0; start < bodies.length; start += 50)
        await producer.sendBatch(bodies.slice(start, start + 50).map((body) => ({ body })));
    },
    kill: () => runtime.dispose(),
  };
}

/** What is taken over from uploads.toml. */
interface Configured {
  readonly compatibilityDate: string;
  readonly compatibilityFlags?: string[];
  readonly bindings: Readonly<Record<string, string>>;
  readonly r2Buckets: { readonly PHOTOS: { readonly id: string } };
  readonly queueConsumers: Readonly<
    Record<string, { readonly maxBatchSize: number; readonly maxRetries: number; readonly deadLetterQueue: string }>
  >;
}
