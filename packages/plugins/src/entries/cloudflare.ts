export { createQueueConsumer, type QueueBatch, type QueueMessage } from '../adapters/cloudflare-queue.ts';
export { createR2Storage, type R2BucketLike } from '../storage/r2.ts';
