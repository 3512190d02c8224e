import { ElfinError } from '@elfin/core';
import { EXIT } from '../report/failure.ts';

/** The signals that end a batch in good order. */
export type EndingSignal = 'SIGINT' | 'SIGTERM';

/** Ctrl-C or SIGTERM, listened to while a batch is under way. */
export interface Interruption extends Disposable {
  /** Aborted by the first signal: the work in hand stops and leaves nothing half-written. A second one ends the process at once. */
  readonly signal: AbortSignal;
  /** Which one came. */
  readonly by: EndingSignal | undefined;
  /** What the process ends with where one came. */
  readonly exitCode: typeof EXIT.interrupted | typeof EXIT.terminated | undefined;
}

/** Listens until disposed of. */
export function listenForInterruption(): Interruption {
  const controller = new AbortController();
  let by: EndingSignal | undefined;
  const stop = (signal: EndingSignal) => {
    by = signal;
    controller.abort(new ElfinError('ABORTED', 'Interrupted.'));
  };
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  return {
    signal: controller.signal,
    get by() {
      return by;
    },
    get exitCode() {
      return by && (by === 'SIGINT' ? EXIT.interrupted : EXIT.terminated);
    },
    [Symbol.dispose]() {
      process.off('SIGINT', stop);
      process.off('SIGTERM', stop);
    },
  };
}
