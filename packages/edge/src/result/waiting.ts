import { ElfinError } from '@elfin/core';
import { asElfinError } from '../http/errors.ts';

/** Resolves to the promise's value, or to `late` after `ms`; the promise goes on. */
export async function within<T, L>(promise: Promise<T>, ms: number, late: L): Promise<T | L> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<L>((resolve) => {
    timer = setTimeout(() => resolve(late), Math.max(0, ms));
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

/** A signal that fires after `ms` with DEADLINE_EXCEEDED, or with `signal`. */
export function deadlineSignal(ms: number, ...signals: readonly (AbortSignal | undefined)[]): AbortSignal {
  const controller = new AbortController();
  const timer = setTimeout(
    () => controller.abort(new ElfinError('DEADLINE_EXCEEDED', 'The work took longer than it may.')),
    ms,
  );
  (timer as { unref?: () => void }).unref?.();
  return AbortSignal.any([controller.signal, ...signals.filter((signal) => signal !== undefined)]);
}

/** The promise's outcome, or the signal's reason as soon as it fires; the promise goes on. */
export async function interruptible<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) throw signal.reason;
  let stop = () => {};
  const stopped = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([promise, stopped]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** Waits `ms`, or until the signal fires. Errors: the signal's reason. */
export async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  if (signal?.aborted) throw asElfinError(signal.reason);
  await new Promise<void>((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(asElfinError(signal?.reason));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve();
    }, ms);
    signal?.addEventListener('abort', stop, { once: true });
  });
}
