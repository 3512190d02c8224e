import { ElfinError, parseRetryAfter, throwIfAborted } from '@elfin/core';
import type { UploadEvent } from '../events/event.ts';
import { pause } from '../job/retry.ts';
import type { BackfillSink } from './backfill.ts';

export interface CloudflareQueueOptions {
  readonly accountId: string;
  readonly queueId: string;
  /** An API token that may write to the queue. */
  readonly token: string;
  readonly fetch?: typeof fetch;
  /** Default: Cloudflare's API. */
  readonly endpoint?: string;
  /** First pause after a 429 or 5xx that names none; doubled each time. Default 500 ms. */
  readonly baseMs?: number;
}

// Cloudflare Queues takes a hundred messages at once.
const PER_POST = 100;
// Of a post: Cloudflare's API lets 1,200 requests through in five minutes, then answers 429 until they are over.
const TRIES = 8;
const LONGEST_MS = 5 * 60 * 1000;

/**
 * Hands a backfill to a Cloudflare Queue over its HTTP API, as R2's own notifications. A post that is answered 429 or 5xx is
 * made again, after as long as the answer asks for, up to five minutes.
 *
 * @throws INPUT_UNREADABLE for wrong ids or a wrong token, NETWORK_FAILED, ABORTED.
 */
export const enqueueToCloudflareQueue =
  (options: CloudflareQueueOptions): BackfillSink =>
  async (events, { signal, onOutcome }) => {
    for (let start = 0; start < events.length; start += PER_POST) {
      const part = events.slice(start, start + PER_POST);
      const messages = part.map((event) => ({ body: asR2Notification(event), content_type: 'json' }));
      await post(options, JSON.stringify({ messages }), signal);
      for (const index of part.keys()) onOutcome(start + index, { status: 'enqueued' });
    }
  };

async function post(options: CloudflareQueueOptions, body: string, signal: AbortSignal | undefined): Promise<void> {
  const { accountId, queueId, token, baseMs = 500 } = options;
  const endpoint = options.endpoint ?? 'https://api.cloudflare.com/client/v4';
  for (let attempt = 1; ; attempt++) {
    const { answer, text } = await asking(signal, async () => {
      const answer = await (options.fetch ?? fetch)(
        `${endpoint}/accounts/${accountId}/queues/${queueId}/messages/batch`,
        {
          method: 'POST',
          headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
          body,
          ...(signal && { signal }),
        },
      );
      return { answer, text: await answer.text() };
    });
    if (answer.ok) return;
    const passing = answer.status === 429 || answer.status >= 500;
    if (!passing || attempt === TRIES) throw refusal(answer.status, text);
    const asked = parseRetryAfter(answer.headers.get('retry-after'));
    const wait = asked === undefined ? Math.random() * baseMs * 2 ** attempt : asked * 1000;
    await pause(Math.min(LONGEST_MS, wait), signal);
  }
}

async function asking<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
  throwIfAborted(signal);
  try {
    return await work();
  } catch (cause) {
    throwIfAborted(signal);
    throw new ElfinError('NETWORK_FAILED', 'The Cloudflare Queue could not be reached; resume later.', { cause });
  }
}

function refusal(status: number, text: string): ElfinError {
  const said = text.replace(/\s+/g, ' ').trim().slice(0, 300);
  const what = `The Cloudflare Queue answered ${status}${said && ` (${said})`}`;
  if (status === 401 || status === 403 || status === 404)
    return new ElfinError('INPUT_UNREADABLE', `${what}; check its ids and the token, then resume.`);
  return new ElfinError(
    'NETWORK_FAILED',
    `${what}; ${status === 429 || status >= 500 ? 'resume later' : 'see to it, then resume'}.`,
  );
}

/** An event as R2 would have sent it. */
export const asR2Notification = ({ bucket, key, size, etag, time }: UploadEvent) => ({
  account: 'backfill',
  action: 'PutObject',
  bucket,
  object: { key, ...(size !== undefined && { size }), ...(etag !== undefined && { eTag: etag }) },
  eventTime: new Date(time ?? Date.now()).toISOString(),
});
