// A Worker that consumes R2's notifications with a restorer that costs nothing; counts into R2 what it infers.
import { createTrigger } from '@elfin/plugins';
import { createQueueConsumer, createR2Storage, type QueueBatch, type R2BucketLike } from '@elfin/plugins/cloudflare';
import { cheapRestorer } from '../../helpers/upload.ts';

interface Env {
  readonly PHOTOS: R2BucketLike;
  readonly LOG: R2BucketLike;
  readonly DELAY: number;
}

const consume = createQueueConsumer((env: Env) => {
  const storage = createR2Storage(env.PHOTOS);
  const restorer = cheapRestorer({ delayMs: env.DELAY });
  return createTrigger({
    rules: [{ prefix: 'incoming/', task: 'derain', alias: 'latest/{key}' }],
    storage: (bucket) => (bucket === 'photos' ? storage : undefined),
    restorer: {
      ...restorer,
      async restoreBytes(bytes, options, context) {
        await env.LOG.put(`inference/${crypto.randomUUID()}`, new Uint8Array());
        return restorer.restoreBytes(bytes, options, context);
      },
    },
    claims: { ttlMs: 2000 },
    retries: { attempts: 1 },
  });
});

export default {
  async queue(batch: QueueBatch & { readonly queue: string }, env: Env): Promise<void> {
    if (batch.queue === 'uploads') return consume(batch, env);
    for (const message of batch.messages) {
      await env.LOG.put(`dead/${message.id}`, new TextEncoder().encode(JSON.stringify(message.body)));
      message.ack();
    }
  },
};
