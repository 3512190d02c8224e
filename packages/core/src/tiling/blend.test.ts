import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { halveAxis, splitAxis, support } from './axis.ts';
import { blendWeights } from './blend.ts';

const axis = fc
  .record({
    length: fc.integer({ min: 1, max: 150 }).map((n) => n * 16),
    window: fc.integer({ min: 4, max: 32 }).map((n) => n * 16),
    share: fc.double({ min: 0, max: 1, noNaN: true }),
    seam: fc.constantFrom('smooth' as const, 'cut' as const),
    shrink: fc.boolean(),
    half: fc.boolean(),
  })
  .map(({ length, window, share, seam, shrink, half }) => {
    const overlap = Math.floor((share * window) / 64) * 32;
    const whole = splitAxis(length, { window, overlap, seam, shrink });
    return half ? halveAxis(whole) : whole;
  });

describe('blendWeights', () => {
  it('sums to exactly 1 at every pixel of an axis', () => {
    fc.assert(
      fc.property(axis, (axis) => {
        const sums = new Float32Array(axis.length);
        for (const i of axis.starts.keys()) {
          const { start } = support(axis, i);
          for (const [k, weight] of blendWeights(axis, i).entries()) sums[start + k]! += weight;
        }
        expect(sums.every((sum) => sum === 1)).toBe(true);
      }),
    );
  });

  it('sums to exactly 1 over the picture, in float32, in any order', () => {
    fc.assert(
      fc.property(axis, axis, fc.nat(), fc.nat(), (columns, rows, x, y) => {
        const at = (axis: typeof columns, p: number) =>
          [...axis.starts.keys()].flatMap((i) => {
            const weight = blendWeights(axis, i)[p - support(axis, i).start];
            return weight === undefined ? [] : [weight];
          });
        const products = at(rows, y % rows.length).flatMap((v) => at(columns, x % columns.length).map((h) => v * h));
        for (const order of [products, products.toReversed()]) {
          expect(order.reduce((sum, weight) => Math.fround(sum + Math.fround(weight)), 0)).toBe(1);
        }
      }),
    );
  });

  it('rises smoothly through a seam', () => {
    const columns = splitAxis(192, { window: 128, overlap: 64, seam: 'smooth', shrink: false });
    const second = blendWeights(columns, 1);
    expect(columns.seams).toEqual([{ start: 64, end: 128 }]);
    expect(second[0]).toBeLessThan(0.001);
    expect(second[31]! + second[32]!).toBe(1);
    expect(second[63]).toBeGreaterThan(0.999);
    for (let i = 1; i < 64; i++) {
      expect(second[i]! - second[i - 1]!).toBeGreaterThanOrEqual(0);
      expect(second[i]! - second[i - 1]!).toBeLessThan(0.03);
    }
  });
});
