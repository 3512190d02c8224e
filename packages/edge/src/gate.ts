import { ElfinError } from '@elfin/core';
import { BulkheadRejectedError, bulkhead } from 'cockatiel';

export interface Gate {
  /** Runs `work` when its turn comes. Errors: OVERLOADED when the queue is full, DRAINING, and what `work` throws. */
  run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T>;
  /** Work waiting for its turn. */
  readonly queued: number;
  readonly running: number;
}

/** At most `concurrency` at a time and `queue` waiting: beyond that a quick no is kinder than a slow one. */
export function createGate(options: { readonly concurrency: number; readonly queue: number }): Gate {
  const policy = bulkhead(options.concurrency, options.queue);
  return {
    async run(work, signal) {
      try {
        return await policy.execute(work, signal);
      } catch (error) {
        if (error instanceof BulkheadRejectedError) {
          throw new ElfinError('OVERLOADED', 'The server has more to do than it takes on; try again soon.', {
            data: { retryAfter: 2 },
          });
        }
        throw error;
      }
    },
    get queued() {
      return options.queue - policy.queueSlots;
    },
    get running() {
      return options.concurrency - policy.executionSlots;
    },
  };
}

/** Decides whether a tenant may ask now; resolves to the seconds to wait where not. */
export type RateLimit = (tenant: string) => number | undefined | Promise<number | undefined>;

/**
 * A token bucket a tenant, in this process: `burst` at once, `perSecond` in the long run. The least recently seen
 * tenants are forgotten, whole, beyond `tenants` of them.
 */
export function createRateLimit(options: {
  readonly perSecond: number;
  readonly burst: number;
  readonly tenants?: number;
  readonly now?: () => number;
}): RateLimit {
  const { perSecond, burst, tenants = 10_000, now = Date.now } = options;
  const buckets = new Map<string, { level: number; at: number }>();
  return (tenant) => {
    const time = now();
    const bucket = buckets.get(tenant) ?? { level: burst, at: time };
    const level = Math.min(burst, bucket.level + ((time - bucket.at) / 1000) * perSecond);
    buckets.delete(tenant);
    buckets.set(tenant, { level: level >= 1 ? level - 1 : level, at: time });
    if (buckets.size > tenants) buckets.delete(buckets.keys().next().value as string);
    return level >= 1 ? undefined : (1 - level) / perSecond;
  };
}
