import { checkInteger, invalidOption } from '../base/check.ts';
import { ElfinError } from '../base/errors.ts';
import { type Axis, shortestWindow, splitAxis } from './axis.ts';
import { ceilToMultiple, MULTIPLE } from './pad.ts';

/** See docs/tiling.md for what each does to the picture, with figures. */
export const TILING_MODES = ['auto', 'local', 'global', 'whole'] as const;
export type TilingMode = (typeof TILING_MODES)[number];

/** What a caller may choose; everything has a default. */
export interface TilingOptions {
  readonly mode?: TilingMode | undefined;
  /** Side in pixels of the largest window; a multiple of 16, at least 64. */
  readonly tile?: number | undefined;
  /**
   * Pixels that neighbouring windows have in common; a multiple of 32, at most half of `tile`. In `local` they blend
   * over it; in `global` half of it is the halo that is computed and thrown away on each side of a cut.
   */
  readonly overlap?: number | undefined;
  /** `global`: sweeps over all tiles that gather statistics, before the one that makes the output. 0…8. */
  readonly passes?: number | undefined;
  /** `global`: longest side of the small picture that the first statistics come from; at most 512 by default. */
  readonly thumbnail?: number | undefined;
  /** One window shape whatever the image's size (small images are mirrored up to it): for batching, graph capture. */
  readonly uniform?: boolean | undefined;
  /** Bytes that the runtime may take for the tile that it runs, unless `tile` is given. */
  readonly memory?: number | undefined;
}

/** Every name that {@link TilingOptions} has. */
export const TILING_OPTION_NAMES: readonly (keyof TilingOptions)[] = [
  'mode',
  'tile',
  'overlap',
  'passes',
  'thumbnail',
  'uniform',
  'memory',
];

/** What the planner must know of image, model and runtime. */
export interface PlanInput extends TilingOptions {
  readonly width: number;
  readonly height: number;
  /** Side of the training crops, from the model's manifest. */
  readonly crop: number;
  /** Working memory of the runtime for a pixel of a window; see {@link BYTES_PER_PIXEL}. */
  readonly bytesPerPixel?: number | undefined;
}

/** How an image is cut; pure data. All numbers but counts are pixels of the image mirrored up to `padded`. */
export interface Plan {
  readonly mode: Exclude<TilingMode, 'auto'>;
  readonly width: number;
  readonly height: number;
  /** Multiples of 16 that hold the image; what is beyond it is mirrored in and cropped off again. */
  readonly padded: { readonly width: number; readonly height: number };
  /** The one shape that all windows have. */
  readonly window: { readonly width: number; readonly height: number };
  readonly columns: Axis;
  readonly rows: Axis;
  readonly overlap: number;
  readonly passes: number;
  readonly uniform: boolean;
  /** `global`: the picture that the first statistics come from. */
  readonly thumbnail?: { readonly width: number; readonly height: number };
  /** Windows that cover the image. */
  readonly tiles: number;
  /** Runs of the network in all: the thumbnail's, `tiles` for each sweep, `tiles` for the output. */
  readonly steps: number;
}

/**
 * Work memory of a window's pixel. A bound rather than a mean: `elf-lw` takes about 650 (docs/architecture.md), the larger
 * variants half as much again, and the runtime's arena keeps some more.
 */
export const BYTES_PER_PIXEL = 1536;
const DEFAULT_MEMORY = 384 * 1024 * 1024;
// What `auto` takes for images that do not fit in one window: docs/tiling.md shows why.
const TILED = 'local';
export const MIN_TILE = 64;
export const MAX_TILE = 8192;
export const MAX_OVERLAP = MAX_TILE / 2;
const MAX_DEFAULT_TILE = 1024;
/** What overlaps are multiples of: both halos of a cut lie on {@link MULTIPLE}. */
export const OVERLAP_MULTIPLE = 32;
export const MAX_PASSES = 8;
const MAX_THUMBNAIL = 512;
const DEFAULT_HALO = 48;
/** Wider seams show no less: docs/tiling.md. */
const LOCAL_OVERLAP = 64;
/** Side of the largest window that is taken by default. */
export const DEFAULT_TILE = budgetSide({});

/** Plans the work. Errors: IMAGE_EMPTY, OPTION_INVALID. */
export function planTiles(input: PlanInput): Plan {
  const { width, height, passes = 1, uniform = false } = input;
  if (!(Number.isInteger(width) && Number.isInteger(height) && width >= 1 && height >= 1)) {
    throw new ElfinError('IMAGE_EMPTY', `An image of ${width}×${height} has no pixels; hand in at least 1×1.`);
  }
  checkInteger('passes', passes, { min: 0, max: MAX_PASSES });
  const mode = chooseMode(input);
  const tile = input.tile ?? defaultTile(mode, input);
  checkInteger('tile', tile, { min: MIN_TILE, max: MAX_TILE, multiple: MULTIPLE });
  const overlap = mode === 'whole' ? 0 : (input.overlap ?? defaultOverlap(mode, tile));
  // At most half of a tile, where three windows would meet.
  checkInteger('overlap', overlap, { min: 0, max: maxOverlap(tile), multiple: OVERLAP_MULTIPLE });

  const least = uniform && mode !== 'whole' ? tile : 0;
  const padded = {
    width: Math.max(least, ceilToMultiple(width)),
    height: Math.max(least, ceilToMultiple(height)),
  };
  const fitted = mode === 'local' && !uniform && input.tile === undefined;
  const largest = fitted ? fitWindow(padded, tile, overlap) : { width: tile, height: tile };
  const axis = (length: number, window: number) =>
    splitAxis(length, {
      window: mode === 'whole' ? length : window,
      overlap,
      seam: mode === 'local' ? 'smooth' : 'cut',
      shrink: !uniform,
    });
  const columns = axis(padded.width, largest.width);
  const rows = axis(padded.height, largest.height);
  const tiles = columns.starts.length * rows.starts.length;
  const common = { width, height, padded, columns, rows, overlap, uniform, tiles };
  const window = { width: columns.window, height: rows.window };
  if (mode !== 'global') return { mode, ...common, window, passes: 0, steps: tiles };
  const scale = Math.min(1, maxThumbnail(input) / Math.max(width, height));
  const thumbnail = {
    width: Math.max(1, Math.round(width * scale)),
    height: Math.max(1, Math.round(height * scale)),
  };
  return { mode, ...common, window, passes, thumbnail, steps: 1 + tiles * (passes + 1) };
}

/** Refuses what {@link planTiles} would refuse whatever the image's size. Errors: OPTION_INVALID. */
export function checkTiling(tiling: TilingOptions, crop: number): void {
  planTiles({ ...tiling, width: 1, height: 1, crop });
}

/**
 * The plan to try after the runtime ran out of memory: windows of half the side (64 at least), and no more overlap
 * than they can have.
 * Undefined when they are as small as they get, and for `whole` when the caller insists on it.
 */
export function smallerPlan(plan: Plan, input: PlanInput): Plan | undefined {
  if (input.mode === 'whole') return undefined;
  const side = Math.max(plan.window.width, plan.window.height);
  if (side <= MIN_TILE) return undefined;
  const tile = Math.max(MIN_TILE, floorTo(MULTIPLE, side / 2));
  const mode = plan.mode === 'whole' ? TILED : plan.mode;
  const overlap = Math.min(input.overlap ?? defaultOverlap(mode, tile), maxOverlap(tile));
  return planTiles({ ...input, mode, tile, overlap, thumbnail: Math.min(tile, maxThumbnail(input)) });
}

function chooseMode(input: PlanInput): Plan['mode'] {
  const { mode = 'auto', width, height } = input;
  if (!TILING_MODES.includes(mode)) throw invalidOption('tiling', `one of ${TILING_MODES.join(', ')}`, mode);
  if (mode !== 'auto') return mode;
  return ceilToMultiple(width) * ceilToMultiple(height) <= (input.tile ?? budgetSide(input)) ** 2 ? 'whole' : TILED;
}

function budgetSide(input: Pick<PlanInput, 'memory' | 'bytesPerPixel'>): number {
  const { memory = DEFAULT_MEMORY, bytesPerPixel = BYTES_PER_PIXEL } = input;
  if (!(memory > 0)) throw invalidOption('memory', 'a number of bytes above 0', memory);
  // However many tiles are in flight: one is run at a time, and cuts must not depend on who runs them.
  const side = Math.sqrt(memory / bytesPerPixel);
  return Math.min(MAX_DEFAULT_TILE, Math.max(MIN_TILE, floorTo(MULTIPLE, side)));
}

function defaultTile(mode: Plan['mode'], input: PlanInput): number {
  const side = budgetSide(input);
  return mode === 'local' ? Math.min(side, 4 * ceilToMultiple(input.crop)) : side;
}

function defaultOverlap(mode: Plan['mode'], tile: number): number {
  const wanted = mode === 'local' ? Math.min(LOCAL_OVERLAP, tile / 4) : 2 * DEFAULT_HALO;
  // Never none: windows of their own statistics that only touch leave hard seams.
  return Math.min(Math.max(OVERLAP_MULTIPLE, floorTo(OVERLAP_MULTIPLE, wanted)), maxOverlap(tile));
}

/** The most that windows of this side can have in common. */
export function maxOverlap(tile: number): number {
  return floorTo(OVERLAP_MULTIPLE, tile / 2);
}

// Whoever chose the tiles has not chosen the thumbnail: it is as large as is allowed, since the first sweep leans on it.
function maxThumbnail({ thumbnail, ...input }: PlanInput): number {
  checkInteger('thumbnail', thumbnail, { min: 1 });
  return thumbnail ?? Math.min(MAX_THUMBNAIL, budgetSide(input));
}

/**
 * The window of at most `tile`² pixels with which a picture is covered by the fewest pixels in all. A picture of a megapixel cut
 * into squares of 512 would go through the network twice over. Windows are at most a quarter wider than `tile` and not much
 * narrower, since each takes its statistics from itself; they are no higher, since a row of them is held in memory.
 */
function fitWindow(
  { width, height }: { readonly width: number; readonly height: number },
  tile: number,
  overlap: number,
): { readonly width: number; readonly height: number } {
  const least = (3 * tile) / 4;
  const candidates = (length: number, most: number) => {
    const found: { count: number; side: number }[] = [];
    for (let count = Math.ceil(length / most); ; count++) {
      const side = shortestWindow(length, count, overlap);
      if (side < Math.min(length, least) && found.length > 0) return found;
      if (side <= most) found.push({ count, side });
      if (count * least > length + tile) return found;
    }
  };
  let best = { width: tile, height: tile, work: Number.POSITIVE_INFINITY };
  for (const across of candidates(width, ceilToMultiple(1.25 * tile))) {
    for (const down of candidates(height, tile)) {
      const work = across.count * across.side * down.count * down.side;
      if (across.side * down.side <= tile * tile && work < best.work)
        best = { width: across.side, height: down.side, work };
    }
  }
  return best;
}

function floorTo(multiple: number, value: number): number {
  return Math.floor(value / multiple) * multiple;
}
