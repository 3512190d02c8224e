import type { ObjectStore } from '@elfin/storage';
import { type BackfillReport, backfill, restoreHere } from '../backfill/backfill.ts';
import type { UploadEvent } from '../events/event.ts';
import { pause } from '../job/retry.ts';
import type { Handled, Trigger } from '../trigger.ts';

export interface ReconcileOptions {
  readonly trigger: Trigger;
  readonly places: readonly { readonly bucket: string; readonly store: ObjectStore; readonly prefix?: string }[];
  /** Milliseconds from one pass to the next. Default: one pass only. */
  readonly everyMs?: number;
  readonly concurrency: number;
  readonly signal: AbortSignal;
  readonly onHandled?: (handled: readonly Handled[]) => void;
  readonly onReconciled?: (bucket: string, report: BackfillReport) => void;
  /** A pass that failed and is made again. */
  readonly onError?: (error: unknown) => void;
}

export interface Reconciler {
  /** Lists every place once. */
  pass(): Promise<readonly BackfillReport[]>;
  /** Passes as often as is asked for; in between, objects that failed but may pass come again. Resolves when nothing is left to do. */
  run(): Promise<void>;
}

/** Makes up for what no event told of, by listing. Failures are outcomes of single objects, as many as there are. */
export function createReconciler(options: ReconcileOptions): Reconciler {
  const { trigger, places, everyMs = Number.POSITIVE_INFINITY, concurrency, signal, onHandled } = options;

  /** Restores, tells of all that was not done before, and keeps what may pass. */
  function listening(left: UploadEvent[]) {
    const process: Trigger['process'] = async (event, handling) => {
      const outcome = await trigger.process(event, handling);
      if (signal.aborted && outcome.status === 'failed') return outcome;
      if (outcome.status === 'failed' && outcome.error.retry) left.push(event);
      if (outcome.status !== 'done' && outcome.status !== 'skipped') onHandled?.([{ path: '$', event, outcome }]);
      return outcome;
    };
    return restoreHere({ process }, concurrency);
  }

  async function passOver(left: UploadEvent[]): Promise<readonly BackfillReport[]> {
    const reports: BackfillReport[] = [];
    for (const place of places) {
      const report = await backfill({
        ...place,
        rules: trigger.rules,
        sink: listening(left),
        signal,
        // Nobody is there to resume: what lies behind a thousand failing objects would never be come to.
        mostFailures: Number.POSITIVE_INFINITY,
      });
      options.onReconciled?.(place.bucket, report);
      reports.push(report);
    }
    return reports;
  }

  return {
    pass: () => passOver([]),
    async run() {
      let left: UploadEvent[] = [];
      let due = Date.now();
      for (let failures = 0; !signal.aborted; ) {
        const events = left;
        left = [];
        try {
          if (Date.now() >= due) {
            await passOver(left);
            due = Date.now() + everyMs;
          } else await listening(left)(events, { signal, onOutcome: () => undefined });
          failures = left.length > 0 ? failures + 1 : 0;
        } catch (error) {
          if (signal.aborted) return;
          failures++;
          options.onError?.(error);
        }
        const next = failures > 0 ? Date.now() + Math.min(60_000, 500 * 2 ** failures) : due;
        if (next === Number.POSITIVE_INFINITY) return;
        await pause(next - Date.now(), signal);
      }
    },
  };
}
