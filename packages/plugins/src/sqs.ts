export { asS3Notification, enqueueToSqs } from './enqueue-sqs.ts';
