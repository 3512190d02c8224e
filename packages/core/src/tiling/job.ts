import type { StatisticSlot } from '../model/statistics.ts';
import type { Session, SessionOptions } from '../runtime/runtime.ts';
import type { Finish } from './compose.ts';
import type { PixelSink, PixelSource } from './pixels.ts';
import type { TilingOptions } from './plan.ts';
import type { TilePreview } from './preview.ts';

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

export interface TilingJob extends Finish {
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
  readonly tiling?: TilingOptions | undefined;
  /** See {@link PlanInput}. */
  readonly bytesPerPixel?: number | undefined;
  /** Bits a sample that the sink takes, where nothing is mixed in; the source's by default. */
  readonly keptDepth?: 8 | 16 | undefined;
  /** Takes the degradation that the network found, |d − background|, at half resolution (sides rounded up). */
  readonly degradation?: PixelSink | undefined;
  /** Tiles in flight at once; more than 1 pays with remote sessions only. */
  readonly concurrency?: number | undefined;
  /** How images of 8 bits go through the sessions; `float` by default, as those of 16 always do. */
  readonly io?: SessionOptions['io'] | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds since the epoch after which the result is of no use. */
  readonly deadline?: number | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Called with each window's result as it comes, before it is blended with its neighbours. */
  readonly onTile?: ((tile: TilePreview) => void) | undefined;
}
