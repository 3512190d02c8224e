import { throwIfAborted } from '../base/errors.ts';
import type { PixelSource, Samples } from './pixels.ts';

const ROWS_AT_ONCE = 64;
const PIXELS_AT_ONCE = 1 << 20;

/**
 * The source shrunk to `width` × `height` (at most its own size) by area averaging, rounded to its bit depth. Reads it
 * once, from the top to the bottom, a few rows at a time: memory is that of the result.
 */
export async function shrinkSource(
  source: PixelSource,
  width: number,
  height: number,
  signal?: AbortSignal,
): Promise<Samples> {
  if (width === source.width && height === source.height) return source.read(0, 0, width, height, signal);
  const across = shares(source.width, width);
  const down = shares(source.height, height);
  const area = (source.width / width) * (source.height / height);
  const out = source.bitDepth === 16 ? new Uint16Array(width * height * 3) : new Uint8Array(width * height * 3);
  const line = new Float64Array(width * 3);
  // The row that is being added up, and what has come of the next one.
  let sums = new Float64Array(width * 3);
  let next = new Float64Array(width * 3);
  let current = 0;
  const finish = () => {
    for (let i = 0, to = current * sums.length; i < sums.length; i++) out[to++] = Math.round(sums[i]! / area);
    [sums, next] = [next, sums.fill(0)];
    current++;
  };
  const count = Math.max(1, Math.min(ROWS_AT_ONCE, Math.floor(PIXELS_AT_ONCE / source.width)));
  for (let top = 0; top < source.height; top += count) {
    throwIfAborted(signal);
    const rows = Math.min(count, source.height - top);
    const samples = await source.read(0, top, source.width, rows, signal);
    for (let row = 0; row < rows; row++) {
      addLine(samples, row * source.width * 3, across, line);
      const { index, first } = down[top + row]!;
      if (index > current) finish();
      for (let i = 0; i < line.length; i++) sums[i]! += first * line[i]!;
      if (first < 1) for (let i = 0; i < line.length; i++) next[i]! += (1 - first) * line[i]!;
    }
  }
  finish();
  return out;
}

/** Which target pixel a source pixel falls into, and with which share of it; the rest falls into the next. */
interface Share {
  readonly index: number;
  readonly first: number;
}

function shares(from: number, to: number): Share[] {
  const scale = to / from;
  return Array.from({ length: from }, (_, i) => {
    const index = Math.min(to - 1, Math.floor(i * scale));
    const beyond = index === to - 1 ? 0 : Math.max(0, (i + 1) * scale - (index + 1));
    return { index, first: 1 - beyond / scale };
  });
}

function addLine(samples: Samples, offset: number, across: readonly Share[], line: Float64Array): void {
  line.fill(0);
  let from = offset;
  for (const { index, first } of across) {
    for (let channel = 0; channel < 3; channel++) {
      const value = samples[from++]!;
      line[index * 3 + channel]! += first * value;
      if (first < 1) line[index * 3 + 3 + channel]! += (1 - first) * value;
    }
  }
}
