import { ElfinError, sha256 } from '@elfin/core';
import { Webhook } from 'standardwebhooks';
import type { UploadEvent } from '../events/event.ts';
import type { Outcome } from '../job/outcome.ts';

/** What a subscriber is told when a result has been written. */
export interface Completion {
  readonly type: 'elfin.restored';
  readonly timestamp: string;
  readonly data: {
    readonly source: { readonly bucket: string; readonly key: string; readonly etag: string };
    readonly result: { readonly bucket: string; readonly key: string; readonly type: string };
    readonly alias?: string;
    readonly task: string;
  };
}

/** What a subscriber is told of an upload that no retry will mend. */
export interface Failure {
  readonly type: 'elfin.failed';
  readonly timestamp: string;
  readonly data: {
    readonly source: { readonly bucket: string; readonly key: string; readonly etag?: string | undefined };
    /** Key of the quarantine's entry; absent for what went to the dead letters. */
    readonly quarantine?: string | undefined;
    readonly code: string;
    readonly message: string;
  };
}

/** Tells somebody of a result or a failure. Comes at least once for each, under the same id each time. */
export type Notify = (id: string, notification: Completion | Failure, signal: AbortSignal) => Promise<void>;

/** What is told of an outcome that is final. */
export async function failureOf(
  { bucket, key, etag }: UploadEvent,
  outcome: Outcome,
): Promise<{ readonly id: string; readonly notification: Failure }> {
  const { error, ...rest } = outcome as Extract<Outcome, { readonly error: ElfinError }>;
  const quarantine = 'key' in rest ? (rest.key as string) : undefined;
  const { code, message } = error;
  const data = { source: { bucket, key, etag }, quarantine, code, message };
  const notification = { type: 'elfin.failed', timestamp: new Date().toISOString(), data } as const;
  return { id: await notificationId(bucket, JSON.stringify([key, etag, code])), notification };
}

/** The id under which a result is announced, however often. */
export const notificationId = async (bucket: string, key: string) =>
  `elfin_${(await sha256(new TextEncoder().encode(JSON.stringify([bucket, key])))).slice(0, 32)}`;

/**
 * Posts completions as Standard Webhooks: signed, with a stable `webhook-id` by which the receiver drops repetitions.
 *
 * @param options.secret `whsec_…`, base64.
 * @throws NETWORK_FAILED from the notification, where the receiver does not answer 2xx; the work is then finished by a later delivery.
 */
export function createWebhookNotifier(options: {
  readonly url: string;
  readonly secret: string;
  readonly timeoutMs?: number;
  readonly fetch?: typeof fetch;
}): Notify {
  let webhook: Webhook;
  try {
    webhook = new Webhook(options.secret);
    new URL(options.url);
  } catch (cause) {
    throw new ElfinError('CONFIG_INVALID', 'The webhook needs a URL and a secret whsec_<base64>.', { cause });
  }
  const send = options.fetch ?? fetch;
  return async (id, notification, signal) => {
    const body = JSON.stringify(notification);
    const time = new Date();
    const failed = (reason: string, cause?: unknown) =>
      new ElfinError('NETWORK_FAILED', `The webhook ${options.url} ${reason}; it is told again later.`, { cause });
    const answer = await send(options.url, {
      method: 'POST',
      redirect: 'error',
      headers: {
        'content-type': 'application/json',
        'webhook-id': id,
        'webhook-timestamp': String(Math.floor(time.getTime() / 1000)),
        'webhook-signature': webhook.sign(id, time, body),
      },
      body,
      signal: AbortSignal.any([signal, AbortSignal.timeout(options.timeoutMs ?? 10_000)]),
    }).catch((cause: unknown) => {
      throw failed('could not be reached', cause);
    });
    await answer.body?.cancel();
    if (!answer.ok) throw failed(`answered ${answer.status}`);
  };
}

/**
 * A notifier as two environment variables ask for it, `ELFIN_NOTIFY_URL` and `ELFIN_NOTIFY_SECRET`; none where neither is set.
 * @throws CONFIG_INVALID where only one of them is set, or one is not valid.
 */
export function notifierFor(url: string | undefined, secret: string | undefined): Notify | undefined {
  if (!url && !secret) return undefined;
  if (url && secret) return createWebhookNotifier({ url, secret });
  const missing = url ? 'ELFIN_NOTIFY_SECRET' : 'ELFIN_NOTIFY_URL';
  throw new ElfinError(
    'CONFIG_INVALID',
    `${missing} is missing: notifications need a URL and a secret; set both or none.`,
  );
}
