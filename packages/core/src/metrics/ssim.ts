import type { PixelImage } from '../image/pixels.ts';
import { checkPair, type MetricSpace, type Planes, planesOf } from './planes.ts';

const RADIUS = 5;
const SIDE = 2 * RADIUS + 1;
const C1 = (0.01 * 255) ** 2;
const C2 = (0.03 * 255) ** 2;

/** Half of the Gaussian window, σ = 1.5, from its centre outwards; the whole sums to one. */
const TAPS = gaussian(1.5);

/**
 * Structural similarity (Wang, Bovik, Sheikh, Simoncelli, IEEE TIP 2004) with the 11×11 Gaussian window, σ 1.5, K = (0.01, 0.03),
 * L = 255, without downsampling: their `ssim_index.m`, which deraining papers use. The mean is over windows that lie inside the
 * picture, so a border of five pixels only counts as neighbours. scikit-image's mean is over the same pixels; MATLAB's own `ssim`
 * averages over the whole picture with a replicated border, and differs.
 * @returns −1…1, 1 for equal pictures; for `rgb` the mean of the channels
 * @throws OPTION_INVALID for pictures of two sizes or with a side under 11 pixels
 */
export function ssim(image: PixelImage, reference: PixelImage, space: MetricSpace = 'y'): number {
  checkPair(image, reference, SIDE, 'SSIM');
  const [a, b] = [planesOf(image, space), planesOf(reference, space)];
  let sum = 0;
  for (let plane = 0; plane < a.count; plane++) sum += planeMean(a, b, plane);
  return sum / a.count;
}

/** Separable: each row is blurred along once, then eleven blurred rows give one row of the map. Memory is of eleven rows. */
function planeMean(a: Planes, b: Planes, plane: number): number {
  const width = a.width - 2 * RADIUS;
  const [rowA, rowB] = [new Float64Array(a.width), new Float64Array(a.width)];
  const [squares, product] = [new Float64Array(a.width), new Float64Array(a.width)];
  const ring = Array.from({ length: SIDE }, () => Array.from({ length: 4 }, () => new Float64Array(width)));
  const column = Array.from({ length: 4 }, () => new Float64Array(width));
  const [meanA, meanB, power, cross] = column as [Float64Array, Float64Array, Float64Array, Float64Array];
  let sum = 0;
  for (let y = 0; y < a.height; y++) {
    a.row(plane, y, rowA);
    b.row(plane, y, rowB);
    for (let x = 0; x < a.width; x++) {
      // Both variances are only ever needed in sum.
      squares[x] = rowA[x]! ** 2 + rowB[x]! ** 2;
      product[x] = rowA[x]! * rowB[x]!;
    }
    const slot = ring[y % SIDE]!;
    for (const [i, row] of [rowA, rowB, squares, product].entries()) blurAlong(row, slot[i]!);
    if (y < SIDE - 1) continue;
    for (let i = 0; i < 4; i++) blurAcross(ring, i, y, column[i]!);
    for (let x = 0; x < width; x++) {
      const means = meanA[x]! * meanB[x]!;
      const meanSquares = meanA[x]! ** 2 + meanB[x]! ** 2;
      const structure = (2 * (cross[x]! - means) + C2) / (power[x]! - meanSquares + C2);
      sum += ((2 * means + C1) / (meanSquares + C1)) * structure;
    }
  }
  return sum / (width * (a.height - 2 * RADIUS));
}

function blurAlong(row: Float64Array, out: Float64Array): void {
  for (let x = 0; x < out.length; x++) {
    const centre = x + RADIUS;
    let sum = TAPS[0]! * row[centre]!;
    for (let i = 1; i <= RADIUS; i++) sum += TAPS[i]! * (row[centre - i]! + row[centre + i]!);
    out[x] = sum;
  }
}

/** The window whose last row is `last`. */
function blurAcross(
  ring: readonly (readonly Float64Array[])[],
  quantity: number,
  last: number,
  out: Float64Array,
): void {
  const row = (i: number) => ring[(last - RADIUS + i) % SIDE]![quantity]!;
  const centre = row(0);
  for (let x = 0; x < out.length; x++) out[x] = TAPS[0]! * centre[x]!;
  for (let i = 1; i <= RADIUS; i++) {
    const [above, below, tap] = [row(-i), row(i), TAPS[i]!];
    for (let x = 0; x < out.length; x++) out[x]! += tap * (above[x]! + below[x]!);
  }
}

function gaussian(sigma: number): readonly number[] {
  const taps = Array.from({ length: RADIUS + 1 }, (_, i) => Math.exp(-(i ** 2) / (2 * sigma ** 2)));
  const total = taps.reduce((sum, tap, i) => sum + (i === 0 ? tap : 2 * tap), 0);
  return taps.map((tap) => tap / total);
}
