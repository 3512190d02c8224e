import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatDim, formatShape, over, ratio, sameDim, sameShape, symbol, times, volume } from './shape.ts';

const H = symbol('H');
const W = symbol('W');

describe('sides', () => {
  test('read as they would be written', () => {
    expect(formatDim(over(H, 2))).toBe('H/2');
    expect(formatDim(times(times(W, H), 3))).toBe('3*H*W');
    expect(formatDim(over(times(H, 3), 4))).toBe('3*H/4');
    expect(formatShape([1, 3, H, over(W, 16)])).toBe('[1, 3, H, W/16]');
  });

  test('halving and doubling meet, in any order', () => {
    const factor = fc.integer({ min: 1, max: 64 });
    fc.assert(
      fc.property(factor, factor, factor, (a, b, c) => {
        expect(sameDim(times(over(H, a), b), over(times(H, b), a))).toBe(true);
        expect(sameDim(over(times(H, a * c), b * c), over(times(H, a), b))).toBe(true);
        expect(ratio(times(over(H, a), b), over(H, c))).toBeCloseTo((b * c) / a, 9);
      }),
    );
  });

  test('different symbols stay apart', () => {
    expect(sameDim(H, W)).toBe(false);
    expect(ratio(H, W)).toBeUndefined();
    expect(sameShape([H, W], [W, H])).toBe(false);
    expect(sameDim(volume([1, 3, H, W]), times(times(3, W), H))).toBe(true);
  });

  test('a number that does not divide is refused', () => {
    expect(over(48, 16)).toBe(3);
    expect(() => over(40, 16)).toThrow(/multiples of 16/);
  });
});
