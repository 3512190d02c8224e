import { lanczosTaps, type Taps } from '../image/resample.ts';

/** Numbers at one size, asked for at another. */
export interface Grid {
  readonly width: number;
  readonly height: number;
  /** `width · height · 3`, RGB interleaved. */
  readonly data: ArrayLike<number>;
}

/** Rows of a grid enlarged (or shrunk) to another size; in memory a few rows at a time. */
export interface Enlarger {
  /** Row `y` of the large size into `out`, `width · 3` numbers. Rows are asked for from the top to the bottom. */
  row(y: number, out: Float32Array): void;
}

/** Lanczos, separable: rows are resampled along x once, and kept only while some row of the result still needs them. */
export function createEnlarger({ data, ...small }: Grid, width: number, height: number): Enlarger {
  const across = lanczosTaps(small.width, width);
  const down = lanczosTaps(small.height, height);
  const rows = new Map<number, Float32Array>();
  let oldest = 0;
  const widened = (y: number) => {
    const found = rows.get(y) ?? widen(data, y * small.width * 3, across);
    rows.set(y, found);
    return found;
  };
  return {
    row(y, out) {
      const { start, weights } = down[y]!;
      for (; oldest < start; oldest++) rows.delete(oldest);
      out.fill(0);
      for (let k = 0; k < weights.length; k++) {
        const row = widened(start + k);
        const weight = weights[k]!;
        for (let i = 0; i < out.length; i++) out[i]! += weight * row[i]!;
      }
    },
  };
}

function widen(data: ArrayLike<number>, offset: number, across: readonly Taps[]): Float32Array {
  const row = new Float32Array(across.length * 3);
  let to = 0;
  for (const { start, weights } of across) {
    let [r, g, b] = [0, 0, 0];
    let from = offset + start * 3;
    for (let k = 0; k < weights.length; k++, from += 3) {
      const weight = weights[k]!;
      r += weight * data[from]!;
      g += weight * data[from + 1]!;
      b += weight * data[from + 2]!;
    }
    row[to++] = r;
    row[to++] = g;
    row[to++] = b;
  }
  return row;
}
