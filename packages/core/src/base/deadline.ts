import { ElfinError } from './errors.ts';

/** The longest wait in milliseconds that timers know, 24 days: they take a longer one for none at all. */
export const LONGEST_WAIT = 2 ** 31 - 1;

/** Throws DEADLINE_EXCEEDED once `deadline`, in milliseconds since the epoch, is over. */
export function throwIfLate(deadline: number | undefined): void {
  if (deadline !== undefined && Date.now() >= deadline) throw late();
}

/** What {@link throwIfLate} throws. */
export function late(): ElfinError {
  return new ElfinError('DEADLINE_EXCEEDED', 'The time allowed for restoring the image is over; allow more.');
}

/** What may come before the end of a work, each with the error that its waiter then gets. */
export interface Interruptions {
  readonly signals: readonly (readonly [AbortSignal | undefined, (signal: AbortSignal) => unknown])[];
  /** Milliseconds since the epoch; one beyond {@link LONGEST_WAIT} is as good as none. */
  readonly deadline?: number | undefined;
  readonly late?: () => unknown;
}

/** `work`, unless a signal or the deadline comes first. The work itself goes on. */
export async function interruptible<T>(work: Promise<T>, interruptions: Interruptions): Promise<T> {
  const { signals, deadline = Number.POSITIVE_INFINITY } = interruptions;
  const over = new AbortController();
  const interrupted = new Promise<never>((_, reject) => {
    for (const [signal, error] of signals) {
      if (signal?.aborted) reject(error(signal));
      else signal?.addEventListener('abort', () => reject(error(signal)), { once: true, signal: over.signal });
    }
    const wait = deadline - Date.now();
    if (!(wait <= LONGEST_WAIT)) return;
    const timer = setTimeout(() => reject((interruptions.late ?? late)()), Math.max(0, wait));
    over.signal.addEventListener('abort', () => clearTimeout(timer));
  });
  // Whoever loses the race may still fail, and nobody listens to him any more.
  work.catch(() => {});
  try {
    return await Promise.race([work, interrupted]);
  } finally {
    over.abort();
  }
}
