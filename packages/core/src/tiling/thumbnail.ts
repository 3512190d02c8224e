import { throwIfAborted } from '../base/errors.ts';
import type { PixelSource, Samples } from './pixels.ts';

const ROWS_AT_ONCE = 64;

/**
 * The source shrunk to `width` × `height` (at most its own size) by area averaging, rounded to its bit depth. Reads it
 * once, from the top to the bottom, a few rows at a time.
 */
export async function shrinkSource(
  source: PixelSource,
  width: number,
  height: number,
  signal?: AbortSignal,
): Promise<Samples> {
  if (width === source.width && height === source.height) return source.read(0, 0, width, height, signal);
  const sums = new Float64Array(width * height * 3);
  const across = shares(source.width, width);
  const down = shares(source.height, height);
  const line = new Float64Array(width * 3);
  for (let top = 0; top < source.height; top += ROWS_AT_ONCE) {
    throwIfAborted(signal);
    const count = Math.min(ROWS_AT_ONCE, source.height - top);
    const samples = await source.read(0, top, source.width, count, signal);
    for (let row = 0; row < count; row++) {
      addLine(samples, row * source.width * 3, across, line);
      const { index, first } = down[top + row]!;
      const to = index * width * 3;
      for (let i = 0; i < line.length; i++) sums[to + i]! += first * line[i]!;
      if (first < 1) for (let i = 0; i < line.length; i++) sums[to + line.length + i]! += (1 - first) * line[i]!;
    }
  }
  const area = (source.width / width) * (source.height / height);
  const out = source.bitDepth === 16 ? new Uint16Array(sums.length) : new Uint8Array(sums.length);
  for (let i = 0; i < sums.length; i++) out[i] = Math.round(sums[i]! / area);
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
