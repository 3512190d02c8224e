import { ElfinError, isElfinError } from '@elfin/core';
import type { Metrics } from '../http/metrics.ts';

/** Milliseconds that a store may take to say whether something is there: then it is made anew. */
const SLOW_MS = 3_000;
/** Milliseconds that a store which hung is left alone. */
const REST_MS = 5_000;

/** What an operator wants to know of a store that requests get by without. */
export interface StoreState {
  readonly failing: boolean;
  /** Why its last call failed. */
  readonly code?: string | undefined;
}

/** Lets a store fail without anybody waiting for it: that costs work, never an answer. */
export interface StoreGuard {
  /** Undefined where the store fails, or hangs. */
  read<T>(work: () => Promise<T>): Promise<T | undefined>;
  /** As `read`, with as much time as the store itself takes: nobody waits for it. */
  write<T>(work: () => Promise<T>): Promise<T | undefined>;
  readonly state: StoreState;
}

export function createStoreGuard(metrics: Metrics): StoreGuard {
  let state: StoreState = { failing: false };
  let restsUntil = 0;

  async function attempt<T>(work: () => Promise<T>): Promise<T | undefined> {
    if (Date.now() < restsUntil) return undefined;
    const begin = Date.now();
    try {
      const result = await work();
      state = { failing: false };
      return result;
    } catch (error) {
      const code = isElfinError(error) ? error.code : 'INTERNAL';
      metrics.trouble('store', code);
      state = { failing: true, code };
      // One that fails at once may be asked again at once; one that hangs would make every request hang.
      if (Date.now() - begin >= SLOW_MS) restsUntil = Date.now() + REST_MS;
      return undefined;
    }
  }

  return {
    read: (work) => attempt(() => limited(work())),
    write: attempt,
    get state() {
      return state;
    },
  };
}

async function limited<T>(work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new ElfinError('STORE_FAILED', 'The store did not answer in time.')), SLOW_MS);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
