import { throwIfAborted } from '../base/errors.ts';
import type { Samples } from '../tiling/pixels.ts';
import type { RawSource } from './raw.ts';

/** Cells along the longer side, each at least this many pixels. */
const CELLS = 64;
const LEAST_CELL = 4;
const ROWS_AT_ONCE = 64;

interface Grid {
  readonly width: number;
  readonly height: number;
  /** Sums of colour by visibility, RGB, and the visibility they were weighted with. */
  readonly colour: Float64Array;
  readonly weight: Float64Array;
}

/** What stands in for colours that nobody sees: those of the visible surroundings, soft. */
export interface Stand {
  /** Overwrites shown RGB `pixels` of a rectangle wherever `alpha` is 0. */
  fill(x: number, y: number, width: number, pixels: Samples, alpha: (i: number) => number): void;
}

const makeGrid = (width: number, height: number): Grid => ({
  width,
  height,
  colour: new Float64Array(3 * width * height),
  weight: new Float64Array(width * height),
});

/**
 * Looks at a picture once and learns what to show where alpha is 0. Editors leave anything there (black, white, an old
 * background), which would otherwise reach the network's statistics and the visible pixels through them.
 * @param show gives the shown RGB and the alpha of `RawSource` samples
 */
export async function learnSurroundings(
  raw: RawSource,
  show: (samples: Samples) => { shown: Samples; alpha: (i: number) => number },
  signal?: AbortSignal,
): Promise<Stand> {
  const { width, height } = raw;
  const cell = Math.max(LEAST_CELL, Math.ceil(Math.max(width, height) / CELLS));
  const grid = makeGrid(Math.ceil(width / cell), Math.ceil(height / cell));
  for (let y = 0; y < height; y += ROWS_AT_ONCE) {
    throwIfAborted(signal);
    const rows = Math.min(ROWS_AT_ONCE, height - y);
    const { shown, alpha } = show(await raw.read(0, y, width, rows, signal));
    for (let i = 0, row = y; row < y + rows; row++) {
      for (let x = 0; x < width; x++, i++) {
        const weight = alpha(i);
        if (weight === 0) continue;
        const at = Math.floor(row / cell) * grid.width + Math.floor(x / cell);
        grid.weight[at]! += weight;
        for (let c = 0; c < 3; c++) grid.colour[3 * at + c]! += weight * shown[3 * i + c]!;
      }
    }
  }
  const full = raw.bitDepth === 16 ? 65_535 : 255;
  const colours = complete(grid) ?? new Float64Array(grid.colour.length).fill(full / 2);
  return {
    fill(left, top, w, pixels, alpha) {
      const count = pixels.length / 3;
      for (let i = 0; i < count; i++) {
        if (alpha(i) !== 0) continue;
        const x = (left + (i % w) + 0.5) / cell - 0.5;
        const y = (top + Math.floor(i / w) + 0.5) / cell - 0.5;
        sample(grid, colours, x, y, pixels, 3 * i);
      }
    },
  };
}

/** Means of all cells, those without any visible pixel taken from coarser grids; undefined where nothing is visible. */
function complete(grid: Grid): Float64Array | undefined {
  const { width, height, colour, weight } = grid;
  const means = new Float64Array(colour.length);
  const empty = weight.includes(0);
  if (empty && width === 1 && height === 1) return undefined;
  const coarser = empty ? complete(halve(grid)) : undefined;
  if (empty && !coarser) return undefined;
  const across = Math.ceil(width / 2);
  for (let i = 0; i < weight.length; i++) {
    const parent = Math.floor(Math.floor(i / width) / 2) * across + Math.floor((i % width) / 2);
    for (let c = 0; c < 3; c++) {
      means[3 * i + c] = weight[i]! > 0 ? colour[3 * i + c]! / weight[i]! : coarser![3 * parent + c]!;
    }
  }
  return means;
}

function halve({ width, height, colour, weight }: Grid): Grid {
  const half = makeGrid(Math.ceil(width / 2), Math.ceil(height / 2));
  for (let i = 0; i < weight.length; i++) {
    const to = Math.floor(Math.floor(i / width) / 2) * half.width + Math.floor((i % width) / 2);
    half.weight[to]! += weight[i]!;
    for (let c = 0; c < 3; c++) half.colour[3 * to + c]! += colour[3 * i + c]!;
  }
  return half;
}

/** Between the four cells around (x, y), which are counted from the first cell's middle. */
function sample({ width, height }: Grid, colours: Float64Array, x: number, y: number, out: Samples, at: number): void {
  const [left, top] = [Math.max(0, Math.floor(x)), Math.max(0, Math.floor(y))];
  const [right, bottom] = [Math.min(width - 1, left + 1), Math.min(height - 1, top + 1)];
  const [u, v] = [Math.max(0, x - left), Math.max(0, y - top)];
  for (let c = 0; c < 3; c++) {
    const of = (column: number, row: number) => colours[3 * (row * width + column) + c]!;
    const above = of(left, top) + u * (of(right, top) - of(left, top));
    const below = of(left, bottom) + u * (of(right, bottom) - of(left, bottom));
    out[at + c] = above + v * (below - above) + 0.5;
  }
}
