import type { Limits } from '../image/codec.ts';
import type { PixelImage } from '../image/pixels.ts';
import type { ModelRef, ModelSize, Task } from '../model/models.ts';
import type { TilingMode, TilingOptions } from '../tiling/plan.ts';
import type { Progress, TilePreview } from '../tiling/run.ts';

/** What one image is restored with. */
export interface RestoreOptions {
  /** `auto` asks the restorer's classifier, and leaves an image alone that needs nothing. */
  readonly task: Task | 'auto';
  /** `lw` (default) or `full` out of the restorer's models, or a model of one's own, which must be for the task. */
  readonly model?: ModelSize | ModelRef;
  /** How the image is cut, by mode or in detail; `auto` by default. See docs/tiling.md. */
  readonly tiling?: TilingMode | TilingOptions;
  /** How much of the result is mixed into the source, 0…1; 1 by default. At 0 every pixel stays as it is. */
  readonly strength?: number;
  /** What decoding may cost; see `DEFAULT_LIMITS`. */
  readonly limits?: Partial<Limits>;
  /** What becomes of animations: IMAGE_ANIMATED (`refuse`, the default), or their first frame. */
  readonly animated?: 'refuse' | 'first';
  /** `srgb` (default) converts through the embedded profile; `keep` leaves the numbers and the profile alone. */
  readonly icc?: 'srgb' | 'keep';
  readonly signal?: AbortSignal;
  /** Milliseconds since the epoch after which the result is of no use. */
  readonly deadline?: number;
  /** Called at least at the start and with `fraction` 1 at the end, which never falls in between. */
  readonly onProgress?: (progress: Progress) => void;
  /** Called with each window's result as soon as it is there: for showing the image while it grows. */
  readonly onTile?: (tile: TilePreview) => void;
}

/** What a classifier says of an image. */
export interface Classification {
  /** `none`: the image needs no restoring. */
  readonly task: Task | 'none';
  /** 0…1: how sure it is. */
  readonly confidence: number;
  /** Why, in numbers under the classifier's own names. */
  readonly scores?: Readonly<Record<string, number>>;
}

/** Tells what an image suffers from, by a thumbnail of at most {@link CLASSIFY_SIDE} pixels a side (8 or 16 bits, no alpha). */
export type Classify = (thumbnail: PixelImage) => Classification | Promise<Classification>;

/** Longest side of the thumbnail that a classifier sees. */
export const CLASSIFY_SIDE = 512;
