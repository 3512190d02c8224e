import type { PixelSource, Samples } from './pixels.ts';

/** Sides that the network takes are multiples of this: half resolution, then three halvings. */
export const MULTIPLE = 16;

/** The next multiple of {@link MULTIPLE} that is not below `length`. */
export function ceilToMultiple(length: number): number {
  return Math.ceil(length / MULTIPLE) * MULTIPLE;
}

/** Index of the sample that stands at `i` when `n` samples are continued by mirroring about the last: period 2(n−1). */
export function reflect(i: number, n: number): number {
  if (n === 1) return 0;
  const period = 2 * (n - 1);
  const phase = i % period;
  return phase < n ? phase : period - phase;
}

/** `source.read`, for rectangles that may reach over the right and the lower edge, where the image goes on mirrored. */
export async function readReflected(
  source: PixelSource,
  x: number,
  y: number,
  width: number,
  height: number,
  signal?: AbortSignal,
): Promise<Samples> {
  if (x + width <= source.width && y + height <= source.height) return source.read(x, y, width, height, signal);
  const columns = Array.from({ length: width }, (_, i) => reflect(x + i, source.width));
  const rows = Array.from({ length: height }, (_, i) => reflect(y + i, source.height));
  const left = columns.reduce((a, b) => Math.min(a, b));
  const top = rows.reduce((a, b) => Math.min(a, b));
  const boxWidth = columns.reduce((a, b) => Math.max(a, b)) - left + 1;
  const boxHeight = rows.reduce((a, b) => Math.max(a, b)) - top + 1;
  const box = await source.read(left, top, boxWidth, boxHeight, signal);
  const out = source.bitDepth === 16 ? new Uint16Array(width * height * 3) : new Uint8Array(width * height * 3);
  let to = 0;
  for (const row of rows) {
    for (const column of columns) {
      const from = ((row - top) * boxWidth + column - left) * 3;
      out[to++] = box[from]!;
      out[to++] = box[from + 1]!;
      out[to++] = box[from + 2]!;
    }
  }
  return out;
}
