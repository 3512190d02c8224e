import { ElfinError } from '@elfin/core';

export interface Gate {
  /**
   * Runs `work` when its turn comes. Errors: OVERLOADED when the queue is full, the reason of `signal` where it fires before
   * that, at once, and what `work` throws.
   */
  run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T>;
  /** Whether `run` would have a place now, asked before anything is spent on it. Errors: OVERLOADED. */
  check(): void;
  /** Work waiting for its turn. */
  readonly queued: number;
  readonly running: number;
}

/** At most `concurrency` at a time and `queue` waiting: beyond that a quick no is kinder than a slow one. */
export function createGate(options: { readonly concurrency: number; readonly queue: number }): Gate {
  const { concurrency, queue } = options;
  const waiting = new Set<() => void>();
  let running = 0;

  function check(): void {
    if (running < concurrency || waiting.size < queue) return;
    throw new ElfinError('OVERLOADED', 'The server has more to do than it takes on; try again soon.', {
      data: { retryAfter: 2 },
    });
  }

  /** Resolves with a place that is already taken: whoever leaves hands its own on, so that nobody gets in between. */
  function place(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const enter = () => {
        waiting.delete(enter);
        signal?.removeEventListener('abort', leave);
        resolve();
      };
      const leave = () => {
        waiting.delete(enter);
        reject(signal?.reason);
      };
      waiting.add(enter);
      signal?.addEventListener('abort', leave, { once: true });
    });
  }

  return {
    async run(work, signal) {
      if (signal?.aborted) throw signal.reason;
      check();
      if (running < concurrency) running += 1;
      else await place(signal);
      try {
        return await work();
      } finally {
        const [next] = waiting;
        if (next) next();
        else running -= 1;
      }
    },
    check,
    get queued() {
      return waiting.size;
    },
    get running() {
      return running;
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
