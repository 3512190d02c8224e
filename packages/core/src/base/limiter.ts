import pLimit from 'p-limit';
import { type Interruptions, interruptible } from './deadline.ts';

/** At most so many works at once; the others wait in the order in which they came. */
export interface Limiter {
  /** Errors: the work's own. */
  run<T>(work: () => Promise<T>): Promise<T>;
  /**
   * As `run`, of a work that may be left while it waits: what interrupts it then is thrown at once, and the work is not begun. Once
   * begun it is waited for, whatever comes; it has the signals itself.
   */
  runUnless<T>(interruptions: Interruptions, work: () => Promise<T>): Promise<T>;
}

/** @param atOnce 1 or more */
export function createLimiter(atOnce: number): Limiter {
  const limit = pLimit(atOnce);
  return {
    run: (work) => limit(work),
    async runUnless(interruptions, work) {
      let state: 'waiting' | 'begun' | 'left' = 'waiting';
      let begin = () => {};
      const begun = new Promise<void>((resolve) => {
        begin = resolve;
      });
      const result = limit(async () => {
        // Nobody hears of what a work does that was left before it began.
        if (state === 'left') return undefined as never;
        state = 'begun';
        begin();
        return work();
      });
      try {
        await interruptible(Promise.race([begun, result]), interruptions);
      } catch (error) {
        // Between its beginning and the news of it an interruption comes too late.
        if ((state as string) !== 'begun') {
          state = 'left';
          throw error;
        }
      }
      return result;
    },
  };
}
