import { invalidOption } from '../base/check.ts';
import type { Limits } from '../image/codec.ts';
import type { PixelImage } from '../image/pixels.ts';
import type { ModelRef, ModelSize, Task } from '../model/models.ts';
import { checkOption } from '../options/row.ts';
import { RESULT_OPTIONS, type ResultOptionName, type ResultOptions } from '../options/table.ts';
import type { TilingMode, TilingOptions } from '../tiling/plan.ts';
import type { Progress, TilePreview } from '../tiling/run.ts';

/** What one image is restored with. */
export interface RestoreOptions {
  /** `auto` asks the restorer's classifier, and leaves an image alone that needs nothing. */
  readonly task: Task | 'auto';
  /** `lw` (default) or `full` out of the restorer's models, or a model of one's own, which must be for the task. */
  readonly model?: ModelSize | ModelRef | undefined;
  /** How the image is cut, by mode or in detail; `auto` by default. See docs/tiling.md. */
  readonly tiling?: TilingMode | TilingOptions | undefined;
  /**
   * Of `lowlight` (and `auto`, where it finds that): stops of light, −2…2, more or less than the model's own choice, which is 0.
   * In linear light; shadows get all of it, white stays white. It is applied after the network, so it costs next to nothing.
   */
  readonly exposure?: number | undefined;
  /**
   * The size at which the network sees the picture: `auto` (default), by what the weights were trained on; `full`; or the short
   * side in pixels, from 64 to the picture's own. What it finds is enlarged and added to the source, whose size and detail stay.
   */
  readonly resolution?: number | 'auto' | 'full' | undefined;
  /** How much of the result is mixed into the source, 0…1; 1 by default. At 0 every pixel stays as it is. */
  readonly strength?: number | undefined;
  /** What decoding may cost; see `DEFAULT_LIMITS`. */
  readonly limits?: Partial<Limits> | undefined;
  /** What becomes of animations: IMAGE_ANIMATED (`refuse`, the default), or their first frame. */
  readonly animated?: 'refuse' | 'first' | undefined;
  /** `keep` (default): the result has the source's profile and depth; `srgb`: it is converted to sRGB, clipping what lies beyond. */
  readonly icc?: 'srgb' | 'keep' | undefined;
  /** Refuses damage that every viewer forgives (no end marker, stray bytes), instead of warning of it. */
  readonly strict?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds since the epoch after which the result is of no use. */
  readonly deadline?: number | undefined;
  /** Called at least at the start and with `fraction` 1 at the end, which never falls in between. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Called with each window's result as soon as it is there: for showing the image while it grows. */
  readonly onTile?: ((tile: TilePreview) => void) | undefined;
}

const namesOf = (group: string) =>
  (Object.keys(RESULT_OPTIONS) as ResultOptionName[]).filter((name) => RESULT_OPTIONS[name].group === group);
/** Rows of the table that are fields of {@link RestoreOptions} by their own names. */
const RESTORATION = namesOf('restoration').filter((name) => name !== 'restore');

/** Every name that {@link RestoreOptions} has. */
export const RESTORE_OPTION_NAMES: readonly string[] = [
  'task',
  'tiling',
  ...RESTORATION,
  ...['limits', 'animated', 'icc', 'strict', 'signal', 'deadline', 'onProgress', 'onTile'],
];

/** Errors: OPTION_INVALID for a value out of its range, by the table of options. */
export function checkRestoreOptions(options: RestoreOptions): void {
  const given = options as unknown as Readonly<Record<string, unknown>>;
  for (const name of RESTORATION) {
    // A model may be one of the caller's own.
    if (name !== 'model') checkOption(name, RESULT_OPTIONS[name], given[name]);
  }
}

/** What a restorer is told of the options of a result. Not for `restore: 'none'`, which restores nothing. */
export function restoreOptionsOf(options: ResultOptions): RestoreOptions {
  const { restore: task, tiling: mode, tile, overlap, passes } = options;
  if (task === 'none') throw invalidOption('restore', 'a task', task);
  const given: Readonly<Record<string, unknown>> = options;
  const same = Object.fromEntries(RESTORATION.map((name) => [name, given[name]]));
  return { task, tiling: { mode, tile, overlap, passes }, ...same };
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
