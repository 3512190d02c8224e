export { createQueueConsumer, type QueueBatch, type QueueMessage } from '../adapters/cloudflare-queue.ts';
