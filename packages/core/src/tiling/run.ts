import { ElfinError, isElfinError } from '../errors.ts';
import type { StatisticSlot } from '../model/statistics.ts';
import type { Backend, Session, SessionOptions } from '../runtime/runtime.ts';
import { attempt, type State } from './passes.ts';
import type { PixelSink, PixelSource } from './pixels.ts';
import { type Plan, type PlanInput, planTiles, smallerPlan, type TilingOptions } from './plan.ts';
import type { TilePreview } from './preview.ts';

export type { TilePreview } from './preview.ts';

/** `decode` comes from who opens the image; the runner itself goes through `statistics` (`global` only) and `restore`. */
export type Phase = 'decode' | 'statistics' | 'restore';

export interface Progress {
  readonly phase: Phase;
  /** Runs of the network that are done, and all that there will be; grows only when tiles had to be halved. */
  readonly tile: number;
  readonly tiles: number;
  /** 0…1, never falls, and is 1 exactly once the last row is written. */
  readonly fraction: number;
}

export interface TilingJob {
  readonly source: PixelSource;
  readonly sink: PixelSink;
  /**
   * Opens the graph in the variants that the plan needs, one at a time; each session is disposed before the next. One that is
   * not worth keeping for another image comes with `keep` false, so that its memory is there for the next one.
   */
  readonly open: (options: SessionOptions, keep?: boolean) => Promise<Session>;
  /** Side of the training crops, from the model's manifest. */
  readonly crop: number;
  /** What the graph's `sums` hold. */
  readonly layout: readonly StatisticSlot[];
  readonly tiling?: TilingOptions;
  /** See {@link PlanInput}. */
  readonly bytesPerPixel?: number;
  /** How much of the result is mixed into the source, 0…1; 1 by default. */
  readonly strength?: number;
  /** Takes the degradation that the network found, |d − background|, at half resolution (sides rounded up). */
  readonly degradation?: PixelSink;
  /** Tiles in flight at once; more than 1 pays with remote sessions only. */
  readonly concurrency?: number;
  /** How images of 8 bits go through the sessions; `float` by default, as those of 16 always do. */
  readonly io?: SessionOptions['io'];
  readonly signal?: AbortSignal;
  /** Milliseconds since the epoch after which the result is of no use. */
  readonly deadline?: number;
  readonly onProgress?: (progress: Progress) => void;
  /** Called with each window's result as it comes, before it is blended with its neighbours. */
  readonly onTile?: (tile: TilePreview) => void;
}

/** What was done. */
export interface TilingReport {
  readonly plan: Plan;
  readonly backend: Backend;
  /** Runs of the network, repeated ones included. */
  readonly runs: number;
  /** How often the tiles were halved because memory ran out. */
  readonly halvings: number;
}

/**
 * Restores an image tile by tile. Besides source and sink it holds one row of windows in float32 and the tiles in
 * flight, whatever the image's size (`whole` excepted: there the window is the image).
 * When the runtime runs out of memory the tiles are halved and the work goes on at the first row that is not written.
 * Errors: OPTION_INVALID, ABORTED, DEADLINE_EXCEEDED, OUT_OF_MEMORY, and what session, source and sink throw. By then every session
 * is disposed and nothing runs any more; rows that were written stay written.
 */
export async function runTiles(job: TilingJob): Promise<TilingReport> {
  const { source, strength = 1, concurrency = 1, bytesPerPixel } = job;
  if (!(strength >= 0 && strength <= 1)) {
    throw new ElfinError('OPTION_INVALID', `Strength must be between 0 and 1, not ${strength}.`);
  }
  if (!(Number.isInteger(concurrency) && concurrency >= 1)) {
    throw new ElfinError('OPTION_INVALID', `Concurrency must be a whole number from 1 up, not ${concurrency}.`);
  }
  const input: PlanInput = {
    ...job.tiling,
    width: source.width,
    height: source.height,
    crop: job.crop,
    ...(bytesPerPixel !== undefined && { bytesPerPixel }),
  };
  const state: State = { sweeps: 0, restored: [], prior: [], runs: 0, fraction: 0, exhausted: new WeakSet() };
  let plan = planTiles(input);
  for (let halvings = 0; ; halvings++) {
    try {
      const backend = await attempt(job, plan, state);
      return { plan, backend, runs: state.runs, halvings };
    } catch (error) {
      // Only the runtime's own lack of memory is mended by smaller windows; a sink's or a source's is not.
      if (!isElfinError(error) || !state.exhausted.has(error)) throw error;
      const smaller = smallerPlan(plan, input);
      if (!smaller) throw outOfMemory(plan, error);
      plan = smaller;
    }
  }
}

function outOfMemory({ mode, window }: Plan, cause: ElfinError): ElfinError {
  const advice =
    mode === 'whole' ? 'let it be tiled (tiling auto, local or global)' : 'free memory, or use the lighter model';
  return new ElfinError(
    'OUT_OF_MEMORY',
    `The runtime ran out of memory with a window of ${window.width}×${window.height} pixels; ${advice}.`,
    { cause, data: { mode, width: window.width, height: window.height } },
  );
}
