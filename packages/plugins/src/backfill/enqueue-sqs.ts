import { SendMessageBatchCommand, type SQSClient } from '@aws-sdk/client-sqs';
import { ElfinError, throwIfAborted } from '@elfin/core';
import type { UploadEvent } from '../events/event.ts';
import { runBatch } from '../job/batch.ts';
import type { BackfillSink } from './backfill.ts';

// SQS takes ten messages at once.
const PER_CALL = 10;

/** An event as S3 would have sent it: the consumer needs not know where it comes from. Keys are form-encoded. */
export function asS3Notification(event: UploadEvent): string {
  const object = {
    key: encodeURIComponent(event.key).replaceAll('%20', '+').replaceAll('%2F', '/'),
    ...(event.size !== undefined && { size: event.size }),
    ...(event.etag !== undefined && { eTag: event.etag }),
  };
  const record = {
    eventVersion: '2.1',
    eventSource: 'aws:s3',
    eventName: 'ObjectCreated:Put',
    eventTime: new Date(event.time ?? Date.now()).toISOString(),
    s3: { s3SchemaVersion: '1.0', configurationId: 'elfin-backfill', bucket: { name: event.bucket }, object },
  };
  return JSON.stringify({ Records: [record] });
}

/** Hands a backfill to an SQS queue, ten messages a call, so many calls at once. Errors: NETWORK_FAILED, once the client has retried; ABORTED. */
export const enqueueToSqs =
  (client: SQSClient, queueUrl: string, concurrency = 8): BackfillSink =>
  async (events, { signal, onOutcome }) => {
    const starts = Array.from({ length: Math.ceil(events.length / PER_CALL) }, (_, index) => index * PER_CALL);
    const enqueue = async (start: number) => {
      const part = events.slice(start, start + PER_CALL);
      const entries = part.map((event, index) => ({ Id: String(index), MessageBody: asS3Notification(event) }));
      const command = new SendMessageBatchCommand({ QueueUrl: queueUrl, Entries: entries });
      const answer = await client.send(command, signal ? { abortSignal: signal } : {}).catch((cause: unknown) => {
        throwIfAborted(signal);
        const message = `The queue ${queueUrl} did not take a batch (${(cause as Error).message}); check its URL and rights, then resume.`;
        throw new ElfinError('NETWORK_FAILED', message, { cause });
      });
      const refused = new Map(
        (answer.Failed ?? []).map((entry) => [entry.Id, entry.Message ?? entry.Code ?? 'refused']),
      );
      for (const index of part.keys()) onOutcome(start + index, outcomeOf(refused.get(String(index))));
    };
    await runBatch(starts, enqueue, () => undefined, { concurrency, reserveMs: 0 });
  };

const outcomeOf = (refusal: string | undefined) =>
  refusal === undefined
    ? ({ status: 'enqueued' } as const)
    : ({
        status: 'failed',
        error: new ElfinError('NETWORK_FAILED', `The queue refused it: ${refusal}; resume later.`),
      } as const);
