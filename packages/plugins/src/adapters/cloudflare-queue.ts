import { runBatch } from '../job/batch.ts';
import type { Handled, Trigger } from '../trigger.ts';
import { delaySeconds } from '../watch/redelivery.ts';

/** The part of Cloudflare's Message and MessageBatch that is used. */
export interface QueueMessage {
  readonly id: string;
  readonly body: unknown;
  readonly attempts: number;
  ack(): void;
  retry(options?: { delaySeconds?: number }): void;
}

export interface QueueBatch {
  readonly messages: readonly QueueMessage[];
}

/** Cloudflare ends a consumer after 15 minutes; what is not begun by then is delivered again. */
const INVOCATION_MS = 15 * 60 * 1000;

/** What consumers of one isolate do at once: each may hold an encoded image and its result. */
const CONCURRENCY = 4;

/**
 * A consumer for a queue that R2 notifies. Each message is acknowledged or sent back by itself; one that fails again and
 * again goes to the queue's dead letter queue.
 *
 * @param triggerOf Makes the trigger of an isolate's bindings; asked once.
 */
export function createQueueConsumer<Env>(triggerOf: (env: Env) => Trigger) {
  let trigger: Trigger | undefined;
  return async (batch: QueueBatch, env: Env): Promise<void> => {
    trigger ??= triggerOf(env);
    const { handle } = trigger;
    const end = Date.now() + INVOCATION_MS;
    const remaining = () => end - Date.now();
    const work = async (message: QueueMessage) => settle(message, await handle(message.body, { remaining }));
    const bounds = { concurrency: CONCURRENCY, remaining, reserveMs: 60_000 };
    await runBatch(batch.messages, work, (message) => message.retry(), bounds);
  };
}

function settle(message: QueueMessage, handled: readonly Handled[]): void {
  const failures = handled.flatMap(({ outcome }) => (outcome.status === 'failed' ? [outcome.error] : []));
  if (failures.length === 0) message.ack();
  else message.retry({ delaySeconds: delaySeconds(failures, message.attempts) });
}
