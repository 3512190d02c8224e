import { ElfinError } from '@elfin/core';
import type { BackfillSink } from './backfill.ts';
import type { UploadEvent } from './events/event.ts';

export interface CloudflareQueueOptions {
  readonly accountId: string;
  readonly queueId: string;
  /** An API token that may write to the queue. */
  readonly token: string;
  readonly fetch?: typeof fetch;
  /** Default: Cloudflare's API. */
  readonly endpoint?: string;
}

// Cloudflare Queues takes a hundred messages at once.
const PER_POST = 100;

/** Hands a backfill to a Cloudflare Queue over its HTTP API, as R2's own notifications. */
export const enqueueToCloudflareQueue =
  (options: CloudflareQueueOptions): BackfillSink =>
  async (events, { signal, onOutcome }) => {
    const endpoint = options.endpoint ?? 'https://api.cloudflare.com/client/v4';
    const url = `${endpoint}/accounts/${options.accountId}/queues/${options.queueId}/messages/batch`;
    for (let start = 0; start < events.length; start += PER_POST) {
      const part = events.slice(start, start + PER_POST);
      const messages = part.map((event) => ({ body: asR2Notification(event), content_type: 'json' }));
      const answer = await (options.fetch ?? fetch)(url, {
        method: 'POST',
        headers: { authorization: `Bearer ${options.token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ messages }),
        ...(signal && { signal }),
      }).catch((cause: unknown) => {
        throw new ElfinError('NETWORK_FAILED', 'The Cloudflare Queue could not be reached; resume later.', { cause });
      });
      await answer.body?.cancel();
      if (answer.ok) {
        for (const index of part.keys()) onOutcome(start + index, { status: 'enqueued' });
        continue;
      }
      const code = answer.status === 401 || answer.status === 403 ? 'INPUT_UNREADABLE' : 'NETWORK_FAILED';
      throw new ElfinError(
        code,
        `The Cloudflare Queue answered ${answer.status}; check its ids and the token, then resume.`,
      );
    }
  };

/** An event as R2 would have sent it. */
export const asR2Notification = ({ bucket, key, size, etag, time }: UploadEvent) => ({
  account: 'backfill',
  action: 'PutObject',
  bucket,
  object: { key, ...(size !== undefined && { size }), ...(etag !== undefined && { eTag: etag }) },
  eventTime: new Date(time ?? Date.now()).toISOString(),
});
