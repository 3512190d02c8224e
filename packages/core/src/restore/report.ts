import type { Warning } from '../image/warnings.ts';
import type { Task } from '../model/models.ts';
import type { Backend } from '../runtime/runtime.ts';
import type { Plan } from '../tiling/plan.ts';
import type { Classification } from './options.ts';
import type { WorkingSize } from './working-size.ts';

/** Milliseconds. `total` runs from the call to the result, so it holds the waiting behind other images too. */
export interface Timings {
  readonly queue: number;
  /** Reading and decoding; 0 for pixels. */
  readonly decode: number;
  /** Opening the graph, running the tiles, stitching. */
  readonly restore: number;
  /** 0 where the caller encodes. */
  readonly encode: number;
  readonly total: number;
}

/** What was done to an image that was restored. */
export interface RestoredReport {
  readonly task: Task;
  /** The model's full name and the SHA-256 of its weights. */
  readonly model: string;
  readonly digest: string;
  readonly backend: Backend;
  /** The size at which the network saw the picture, and why. The tiles below cover that. */
  readonly resolution: WorkingSize;
  readonly tiling: Plan['mode'];
  /** Sides of the windows, and what neighbours have in common, in pixels. */
  readonly window: { readonly width: number; readonly height: number };
  readonly overlap: number;
  /** Windows that cover the image. */
  readonly tiles: number;
  /** Statistics sweeps before the output, in `global`. */
  readonly passes: number;
  /** Runs of the network in all. */
  readonly runs: number;
  /** How often the windows were halved because memory ran out. */
  readonly halvings: number;
  /** What `auto` went by. */
  readonly classification?: Classification;
  /** What was lost or forgiven on the way, though nobody asked for it. */
  readonly warnings: readonly Warning[];
  readonly timings: Timings;
}

/** What `auto` left alone. */
export interface UntouchedReport {
  readonly task: 'none';
  readonly classification: Classification;
  /**
   * `source`: the bytes are the source's own, but for metadata that the policy takes out. `encoded`: another format was asked for,
   * so the same pixels were encoded. `pixels`: nothing was encoded.
   */
  readonly kept: 'source' | 'encoded' | 'pixels';
  readonly warnings: readonly Warning[];
  readonly timings: Timings;
}

/** A report before the facade has put its own to it. */
export type WorkReport = RestoreReport extends infer R
  ? R extends unknown
    ? Omit<R, 'timings' | 'warnings' | 'kept'>
    : never
  : never;

/** What was done: restored by a model, or left alone by `auto`. */
export type RestoreReport = RestoredReport | UntouchedReport;

/** What only the facade knows, put to what was done. */
export function finishReport(
  done: WorkReport,
  { kept, ...beside }: Pick<UntouchedReport, 'warnings' | 'timings' | 'kept'>,
): RestoreReport {
  return done.task === 'none' ? { ...done, kept, ...beside } : { ...done, ...beside };
}
