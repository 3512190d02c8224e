import { type ElfinError, isElfinError } from '@elfin/core';

export interface RetryOptions {
  /** Tries in all, the first included. */
  readonly attempts: number;
  /** Before the n-th retry: a random time up to `baseMs · 2ⁿ`, so that workers that failed together do not come back together. */
  readonly baseMs: number;
  readonly signal: AbortSignal;
  readonly onRetry: (error: ElfinError) => void;
}

/** What may pass, but not by trying again at once: others' claims, and time that is over. */
const NOT_HERE: ReadonlySet<string> = new Set(['CLAIM_HELD', 'DEADLINE_EXCEEDED']);

/** Tries again what may pass: errors whose code says so, except claims of others, which take as long as they take. */
export async function withRetries<T>(work: () => Promise<T>, options: RetryOptions): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      const passing = isElfinError(error) && error.retry && !NOT_HERE.has(error.code);
      if (!passing || attempt >= options.attempts || options.signal.aborted) throw error;
      options.onRetry(error);
      await pause(Math.random() * options.baseMs * 2 ** attempt, options.signal);
    }
  }
}

/** Waits, but not past an abort. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', done);
  });
}
