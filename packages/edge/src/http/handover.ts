import { ElfinError, isElfinError, sha256 } from '@elfin/core';
import type { FlightRequest } from '../result/flight.ts';
import { nameOf, restorationName } from '../result/restoration.ts';
import { within } from '../result/waiting.ts';
import type { Signer } from '../url/sign.ts';
import type { Plan } from '../url/transform.ts';
import type { Metrics } from './metrics.ts';

/** Work for a queue's consumer; at most some kilobytes, since it names the image and does not carry it. */
export interface QueueMessage {
  readonly v: 1;
  readonly id: string;
  /** Canonical source, options and variant: what is to be made. */
  readonly plan: Plan;
}

/**
 * What becomes of work that takes longer than its request may: `process`, it goes on here (Node). `queue`, it is handed to
 * a consumer (Cloudflare Queues, SQS), since an isolate's work ends with its response. `none`: the request waits for it.
 */
export type Background =
  | { readonly kind: 'process' | 'none' }
  | { readonly kind: 'queue'; readonly send: (message: QueueMessage) => Promise<void> };

/** Milliseconds that an answer waits for work to stop and for a queue to take it, or for a job's record to be there. */
const LEAVE_MS = 5_000;

/** How a request's work ends where it outlives the request. */
export type Hooks = Pick<FlightRequest<unknown>, 'handover' | 'signal' | 'enqueue' | 'onRecord'>;

/** One request's ties to its work, and how they are cut: to a queue where there is one, else by just leaving. */
export class Handover {
  private readonly queue: Extract<Background, { kind: 'queue' }> | undefined;
  private readonly message: QueueMessage;
  private readonly metrics: Metrics;
  private readonly handover = new AbortController();
  private readonly gone = new AbortController();
  private onRecord = () => {};
  private readonly isRecorded = new Promise<void>((resolve) => {
    this.onRecord = resolve;
  });

  constructor(background: Background, message: QueueMessage, metrics: Metrics) {
    this.queue = background.kind === 'queue' ? background : undefined;
    this.message = message;
    this.metrics = metrics;
  }

  /** For the work. */
  hooks(): Hooks {
    const { onRecord, queue } = this;
    if (!queue) return { onRecord };
    return {
      onRecord,
      handover: this.handover.signal,
      signal: this.gone.signal,
      enqueue: () => this.send(queue),
    };
  }

  /** Leaves the work to the queue from the start. */
  begin(): void {
    if (this.queue) this.handover.abort();
  }

  /**
   * Stops the work in an isolate, which is then left to the consumer; whoever only waited just stops waiting. Elsewhere the work
   * goes on, and its record must be there before a client is sent to it; a failure is told by the job. Errors: what the work
   * failed with meanwhile, STORE_FAILED of the queue.
   */
  async leave(running: Promise<unknown>): Promise<void> {
    if (!this.queue) {
      await within(Promise.race([this.isRecorded, running.catch(() => undefined)]), LEAVE_MS, undefined);
      return;
    }
    this.handover.abort(new ElfinError('PENDING', 'The work is left to the queue.'));
    this.gone.abort(new ElfinError('PENDING', 'The request no longer waits.'));
    const left = running.catch((error) => {
      if (!isElfinError(error) || error.code !== 'PENDING') throw error;
    });
    left.catch(() => undefined);
    await within(left, LEAVE_MS, undefined);
  }

  private async send(queue: Extract<Background, { kind: 'queue' }>): Promise<void> {
    try {
      await queue.send(this.message);
    } catch (error) {
      this.metrics.trouble('jobs', isElfinError(error) ? error.code : 'INTERNAL');
      throw error;
    }
  }
}

/**
 * The id of a plan's work: of the photo's restoration where its results share one, else of the one result. Whoever has it may
 * watch the work, so it must not be guessable from the URL.
 */
export function jobId(plan: Plan, shares: boolean, signer: Signer | undefined): Promise<string> {
  const name = shares ? restorationName(plan) : nameOf(plan);
  if (signer) return signer.name(name);
  return sha256(new TextEncoder().encode(name)).then((hex) => hex.slice(0, 22));
}
