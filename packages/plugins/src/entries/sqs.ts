export { asS3Notification, enqueueToSqs } from '../backfill/enqueue-sqs.ts';
