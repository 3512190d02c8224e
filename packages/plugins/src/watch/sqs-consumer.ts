import { isElfinError } from '@elfin/core';
import type { SqsMessage, SqsQueue } from '../aws/sqs.ts';
import { pause } from '../job/retry.ts';
import type { Handled, Trigger } from '../trigger.ts';
import { delaySeconds, parseBody } from './redelivery.ts';

export interface SqsConsumerOptions {
  readonly queue: SqsQueue;
  readonly trigger: Trigger;
  /** Messages at work at once. Default 8. */
  readonly concurrency?: number | undefined;
  /** Seconds for which a message is kept from others, renewed at a third of it while it is at work. Default 120. */
  readonly hideSeconds?: number | undefined;
  /** Seconds for which one call waits for a message. Default 20. */
  readonly waitSeconds?: number | undefined;
  readonly onHandled?: ((handled: readonly Handled[]) => void) | undefined;
  /** A call to the queue that failed and is made again. */
  readonly onError?: ((error: unknown) => void) | undefined;
}

export interface SqsConsumer {
  /** Messages at work, and for how many milliseconds the oldest has been. */
  state(): { readonly working: number; readonly oldestMs: number };
  /** Receives nothing more, hands back what is at work, and resolves when all of it has stopped. */
  stop(): Promise<void>;
}

/** Pause after a failed call to the queue: doubled up to a minute. */
const BASE_MS = 500;
const MAX_PAUSE_MS = 60_000;

/**
 * Works off an SQS queue, as many processes as are wanted on one queue. A message that is done is deleted; one that failed
 * is shown again at once, or as late as its failure asks for, and goes to the queue's own dead letters in the end. While it
 * is at work it stays hidden, however long that takes.
 */
export function startSqsConsumer(options: SqsConsumerOptions): SqsConsumer {
  const { queue, trigger, concurrency = 8, hideSeconds = 120, waitSeconds = 20, onHandled, onError } = options;
  const stopping = new AbortController();
  const working = new Map<Promise<void>, number>();

  async function work(message: SqsMessage): Promise<void> {
    const hide = (seconds: number) => queue.hide(message, seconds).catch((error: unknown) => onError?.(error));
    const renewal = setInterval(() => void hide(hideSeconds), (hideSeconds * 1000) / 3);
    try {
      const handled = await trigger.handle(parseBody(message.body), { signal: stopping.signal });
      clearInterval(renewal);
      onHandled?.(handled);
      const failed = handled.flatMap(({ outcome }) => (outcome.status === 'failed' ? [outcome.error] : []));
      if (failed.length === 0) await queue.remove(message);
      else await hide(stopping.signal.aborted ? 0 : delaySeconds(failed, message.deliveries));
    } catch (error) {
      // Done and not deleted: it comes again and is found done.
      onError?.(error);
    } finally {
      clearInterval(renewal);
    }
  }

  async function receive(failures: number): Promise<number> {
    try {
      const room = concurrency - working.size;
      const messages = await queue.receive({ max: room, waitSeconds, signal: stopping.signal });
      for (const message of messages) {
        const begun = work(message).finally(() => working.delete(begun));
        working.set(begun, Date.now());
      }
      return 0;
    } catch (error) {
      if (stopping.signal.aborted) return 0;
      onError?.(error);
      const wait = Math.min(MAX_PAUSE_MS, BASE_MS * 2 ** failures) * (0.5 + Math.random() / 2);
      // A queue that is not there will not come by itself; it is asked all the same, since whoever makes it is not told.
      await pause(isElfinError(error) && !error.retry ? MAX_PAUSE_MS : wait, stopping.signal);
      return failures + 1;
    }
  }

  const loop = (async () => {
    for (let failures = 0; !stopping.signal.aborted; ) {
      if (working.size >= concurrency) await Promise.race(working.keys());
      else failures = await receive(failures);
    }
  })();

  return {
    state: () => ({
      working: working.size,
      oldestMs: working.size === 0 ? 0 : Date.now() - Math.min(...working.values()),
    }),
    async stop() {
      stopping.abort();
      await loop;
      await Promise.all(working.keys());
    },
  };
}
