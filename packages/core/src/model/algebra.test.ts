import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Weight } from '../graph/graph.ts';
import { foldNorm, outputs, padInputs, permuteOutputs } from './algebra.ts';

const weight = (shape: readonly number[], value: (i: number) => number): Weight => {
  const length = shape.reduce((a, b) => a * b, 1);
  return { name: 'w', shape, data: Float64Array.from({ length }, (_, i) => value(i)) };
};
const count = (shape: readonly number[]) => weight(shape, (i) => i + 1);

/** W·x + b, W [out, in, 1, 1]. */
const apply = ({ shape, data }: Weight, x: readonly number[], bias?: Weight) =>
  Array.from({ length: shape[0]! }, (_, o) =>
    x.reduce((sum, value, i) => sum + data[o * x.length + i]! * value, bias?.data[o] ?? 0),
  );

describe('weights', () => {
  test('rows are cut and padded with zeros', () => {
    const cut = outputs(count([3, 2, 1, 1]), 1, 3, 4);
    expect(cut.shape).toEqual([4, 2, 1, 1]);
    expect([...cut.data]).toEqual([3, 4, 5, 6, 0, 0, 0, 0]);
  });

  test('columns are padded with zeros, taps kept together', () => {
    const padded = padInputs(count([2, 1, 1, 2]), 2);
    expect(padded.shape).toEqual([2, 2, 1, 2]);
    expect([...padded.data]).toEqual([1, 2, 0, 0, 3, 4, 0, 0]);
  });

  test('rows change places', () => {
    expect([...permuteOutputs(count([3, 1, 1, 1]), (i) => [2, 0, 1][i]!).data]).toEqual([3, 1, 2]);
  });

  test('a folded gain and shift are the gain, the shift and the 1×1 after them', () => {
    const value = fc.double({ min: -4, max: 4, noNaN: true });
    const four = fc.array(value, { minLength: 4, maxLength: 4 });
    fc.assert(
      fc.property(four, four, four, fc.array(value, { minLength: 12, maxLength: 12 }), (x, gain, shift, w) => {
        const [W, g, b] = [
          weight([3, 4, 1, 1], (i) => w[i]!),
          weight([4], (i) => gain[i]!),
          weight([4], (i) => shift[i]!),
        ];
        const folded = foldNorm(W, g, b);
        const once = apply(folded.weight, x, folded.bias);
        const twice = apply(
          W,
          x.map((v, i) => v * gain[i]! + shift[i]!),
        );
        twice.forEach((expected, o) => void expect(once[o]).toBeCloseTo(expected, 9));
      }),
    );
  });
});
