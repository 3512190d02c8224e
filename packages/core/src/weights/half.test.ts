import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeBrain, decodeHalf, encodeHalf } from './half.ts';

const all = Uint16Array.from({ length: 65536 }, (_, i) => i);

test('every half survives a round trip', () => {
  const back = encodeHalf(decodeHalf(all));
  for (const half of all) {
    const noNumber = (half & 0x7c00) === 0x7c00 && (half & 0x3ff) !== 0;
    expect(noNumber ? Number.isNaN(decodeHalf(back.subarray(half, half + 1))[0]) : back[half] === half).toBe(true);
  }
});

test('known values', () => {
  const halves = Uint16Array.of(0x0000, 0x8000, 0x0001, 0x03ff, 0x0400, 0x3c00, 0xc000, 0x7bff, 0x7c00, 0xfc00);
  const values = [0, -0, 2 ** -24, 1023 * 2 ** -24, 2 ** -14, 1, -2, 65504, Infinity, -Infinity];
  expect(Array.from(decodeHalf(halves))).toEqual(values);
});

test.each([
  ['a tie goes to the even neighbour below', 1 + 2 ** -11, 0x3c00],
  ['a tie goes to the even neighbour above', 1 + 3 * 2 ** -11, 0x3c02],
  ['just above a tie goes up', 1 + 2 ** -11 + 2 ** -20, 0x3c01],
  ['65519 is still finite', 65519, 0x7bff],
  ['65520 is not', 65520, 0x7c00],
  ['half of the least subnormal goes to zero', 2 ** -25, 0],
  ['more than half does not', 2 ** -25 * 1.001, 1],
  ['the greatest subnormal rounds up into a normal', 2 ** -14 - 2 ** -26, 0x0400],
  ['the sign of zero stays', -0, 0x8000],
])('%s', (_, input, half) => {
  expect(encodeHalf(Float32Array.of(input))[0]).toBe(half);
});

test('encoding picks the nearest half', () => {
  const halves = decodeHalf(all.filter((half) => half < 0x7c00));
  fc.assert(
    fc.property(fc.float({ min: 0, max: 65504, noNaN: true }), (input) => {
      const index = encodeHalf(Float32Array.of(input))[0]!;
      const error = Math.abs(halves[index]! - input);
      for (const other of [halves[index - 1], halves[index + 1]])
        if (other !== undefined) expect(error).toBeLessThanOrEqual(Math.abs(other - input));
    }),
  );
});

test('bfloat16 is the upper half of a float32', () => {
  expect(Array.from(decodeBrain(Uint16Array.of(0x3f80, 0xc000, 0x4049)))).toEqual([1, -2, 3.140625]);
});
