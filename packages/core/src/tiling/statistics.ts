import { ElfinError } from '../base/errors.ts';
import type { StatisticSlot } from '../model/statistics.ts';

/** Adds up the `sums` of tiles. */
export interface StatisticsTotal {
  /** Errors: RUNTIME_FAILED where they are not the layout's numbers. */
  add(sums: ArrayLike<number>): void;
  /** The totals over a half-resolution grid of `height` × `width`, a slot of level ℓ divided by height·width/4^ℓ. */
  means(height: number, width: number): Float32Array;
}

/**
 * Totals kept in float64: a Gram entry of a 50-megapixel image adds up 12.5 million products, where float32 would lose
 * half its digits. Means rather than sums are fed back, so that half-precision graphs do not overflow.
 */
export function createStatisticsTotal(layout: readonly StatisticSlot[]): StatisticsTotal {
  const total = new Float64Array(layout.reduce((total, slot) => total + slot.length, 0));
  return {
    add(sums) {
      if (sums.length !== total.length)
        throw new ElfinError(
          'RUNTIME_FAILED',
          `The runtime answered ${sums.length} statistics where the network has ${total.length}.`,
        );
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
