/**
 * One of the network's global sums, in the order of the vector `sums`: a channel attention's Σx (`channel`), or an
 * attention's Σqkᵀ (`gram`), Σq² (`q2`), Σk² (`k2`). `level` counts the halvings below half resolution at which it is taken.
 */
export interface StatisticsSlot {
  readonly name: string;
  readonly kind: 'channel' | 'gram' | 'q2' | 'k2';
  readonly length: number;
  readonly level: number;
}

/** Number of floats in `statistics` and `sums`. */
export function statisticsLength(layout: readonly StatisticsSlot[]): number {
  return layout.reduce((total, slot) => total + slot.length, 0);
}

/** Adds up the `sums` of tiles. */
export interface StatisticsTotal {
  add(sums: Float32Array): void;
  /** The totals over a half-resolution grid of `height` × `width`, a slot of level ℓ divided by height·width/4^ℓ. */
  means(height: number, width: number): Float32Array;
}

/**
 * Totals kept in float64: a Gram entry of a 50-megapixel image adds up 12.5 million products, where float32 would lose
 * half its digits. Means rather than sums are fed back, so that half-precision graphs do not overflow.
 */
export function createStatisticsTotal(layout: readonly StatisticsSlot[]): StatisticsTotal {
  const total = new Float64Array(statisticsLength(layout));
  return {
    add(sums) {
      for (let i = 0; i < total.length; i++) total[i]! += sums[i]!;
    },
    means(height, width) {
      const means = new Float32Array(total.length);
      let i = 0;
      for (const { length, level } of layout) {
        const count = (height * width) / 4 ** level;
        for (const end = i + length; i < end; i++) means[i] = total[i]! / count;
      }
      return means;
    },
  };
}
