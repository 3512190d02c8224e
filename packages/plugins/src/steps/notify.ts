import { ElfinError, sha256 } from '@elfin/core';
import { Webhook } from 'standardwebhooks';

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

/** Tells somebody of a result. Comes at least once for each, under the same id each time. */
export type Notify = (id: string, completion: Completion, signal: AbortSignal) => Promise<void>;

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
  return async (id, completion, signal) => {
    const body = JSON.stringify(completion);
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
