import { asRgb, type PixelImage } from '../image/pixels.ts';
import { byteSampler, checkSide } from './planes.ts';

/** UIQM and what it is made of. */
export interface Uiqm {
  /** .0282 · uicm + .2953 · uism + 3.5753 · uiconm; higher is better. */
  readonly uiqm: number;
  /** Colourfulness. */
  readonly uicm: number;
  /** Sharpness. */
  readonly uism: number;
  /** Contrast. */
  readonly uiconm: number;
}

const BLOCK = 10;

/**
 * Underwater Image Quality Measure (Panetta, Gao, Agaian, IEEE JOE 2016), which needs no reference. Implementations differ
 * widely; this one agrees with `Evaluation/uqim_utils.py` of xahidbuffon/FUnIE-GAN (commit 8f934c8), down to where that departs
 * from the paper: trimmed means leave out one value more than they divide by, blue's sharpness weighs .144, contrast is taken over
 * the three channels of a block together. Blocks are of 10×10 pixels; what does not fill one at the right and the bottom is left
 * aside. That script resizes pictures to 256×256 before; here they are measured as they are, so compare like with like.
 * @throws OPTION_INVALID for a side under 10 pixels
 */
export function uiqm(given: PixelImage): Uiqm {
  checkSide(given, BLOCK, 'UIQM');
  const image = asRgb(given);
  const uicm = colourfulness(image);
  const { uism, uiconm } = blocks(image);
  return { uiqm: 0.0282 * uicm + 0.2953 * uism + 3.5753 * uiconm, uicm, uism, uiconm };
}

/** Opponent colours R − G and (R + G)/2 − B are multiples of ½ within ±255: counted, trimmed sums are exact and need no sort. */
function colourfulness(image: PixelImage): number {
  const sample = byteSampler(image);
  const redGreen = new Float64Array(1021);
  const yellowBlue = new Float64Array(1021);
  const end = image.width * image.height * image.channels;
  for (let at = 0; at < end; at += image.channels) {
    const [r, g, b] = [sample(at), sample(at + 1), sample(at + 2)];
    redGreen[2 * (r - g) + 510]! += 1;
    yellowBlue[r + g - 2 * b + 510]! += 1;
  }
  const rg = trimmed(redGreen);
  const yb = trimmed(yellowBlue);
  return -0.0268 * Math.hypot(rg.mean, yb.mean) + 0.1586 * Math.sqrt(rg.spread + yb.spread);
}

/** Mean without the lowest and highest tenth, and the mean square distance of all values from it. */
function trimmed(counts: Float64Array): { mean: number; spread: number } {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const low = Math.ceil(0.1 * total);
  const high = Math.floor(0.1 * total);
  let sum = 0;
  let rank = 0;
  for (const [i, count] of counts.entries()) {
    const kept = Math.min(rank + count, total - high) - Math.max(rank, low + 1);
    if (kept > 0) sum += (kept * (i - 510)) / 2;
    rank += count;
  }
  const mean = sum / (total - low - high);
  const spread = counts.reduce((all, count, i) => all + count * ((i - 510) / 2 - mean) ** 2, 0) / total;
  return { mean, spread };
}

const SHARPNESS = [0.299, 0.587, 0.144];

/** Both measures over blocks, three rows of the picture at a time. */
function blocks(image: PixelImage): { uism: number; uiconm: number } {
  const { width, channels } = image;
  const sample = byteSampler(image);
  const across = Math.floor(width / BLOCK);
  const down = Math.floor(image.height / BLOCK);
  const rows = createRows(image, sample);
  let uism = 0;
  let uiconm = 0;
  for (let j = 0; j < down; j++) {
    const edges = Array.from({ length: 3 * across }, range);
    const values = Array.from({ length: across }, range);
    for (let y = j * BLOCK; y < (j + 1) * BLOCK; y++) {
      for (let plane = 0; plane < 3; plane++) {
        const edge = rows.edges(plane, y);
        for (let x = 0, at = y * width * channels + plane; x < across * BLOCK; x++, at += channels) {
          const block = Math.floor(x / BLOCK);
          const value = sample(at);
          widen(values[block]!, value);
          widen(edges[plane * across + block]!, edge[x]! * value);
        }
      }
    }
    for (const [i, { least, most }] of edges.entries())
      if (least > 0) uism += SHARPNESS[Math.floor(i / across)]! * Math.log(most / least);
    for (const { least, most } of values) {
      const contrast = (most - least) / (most + least);
      if (contrast > 0) uiconm -= contrast * Math.log(contrast);
    }
  }
  return { uism: (2 * uism) / (across * down), uiconm: uiconm / (across * down) };
}

const range = () => ({ least: Infinity, most: -Infinity });

function widen(bounds: { least: number; most: number }, value: number): void {
  if (value < bounds.least) bounds.least = value;
  if (value > bounds.most) bounds.most = value;
}

/** Sobel magnitudes of one row, the picture mirrored at its border. A common factor would cancel in a block's ratio. */
function createRows({ width, height, channels }: PixelImage, sample: (at: number) => number) {
  const out = new Float64Array(width);
  return {
    edges(plane: number, y: number): Float64Array {
      const base = (row: number) => Math.min(Math.max(row, 0), height - 1) * width * channels + plane;
      const [above, here, below] = [base(y - 1), base(y), base(y + 1)];
      for (let x = 0; x < width; x++) {
        const left = Math.max(x - 1, 0) * channels;
        const right = Math.min(x + 1, width - 1) * channels;
        const centre = x * channels;
        const [a, b, c] = [sample(above + left), sample(above + centre), sample(above + right)];
        const [d, f] = [sample(here + left), sample(here + right)];
        const [g, h, i] = [sample(below + left), sample(below + centre), sample(below + right)];
        out[x] = Math.sqrt((c + 2 * f + i - a - 2 * d - g) ** 2 + (g + 2 * h + i - a - 2 * b - c) ** 2);
      }
      return out;
    },
  };
}
