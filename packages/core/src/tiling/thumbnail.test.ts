import fc from 'fast-check';
import { expect, test } from 'vitest';
import { imageSource } from './pixels.ts';
import { shrinkSource } from './thumbnail.ts';

const grey = (width: number, height: number, values: readonly number[]) =>
  imageSource({ width, height, channels: 3, data: Uint16Array.from(values.flatMap((value) => [value, value, value])) });

test('each pixel is the mean of the area that it stands for, parts of pixels included', async () => {
  const source = grey(3, 1, [0, 600, 1200]);
  // Two pixels of one and a half: (0 + 600/2) / 1.5 and (600/2 + 1200) / 1.5.
  expect([...(await shrinkSource(source, 2, 1))]).toEqual([200, 200, 200, 1000, 1000, 1000]);
  const square = grey(2, 2, [10, 20, 30, 40]);
  expect([...(await shrinkSource(square, 1, 1))]).toEqual([25, 25, 25]);
});

test('the mean stays what it was, whatever the sides', async () => {
  const side = fc.integer({ min: 1, max: 150 });
  await fc.assert(
    fc.asyncProperty(side, side, fc.nat(), fc.nat(), async (width, height, a, b) => {
      const values = Array.from({ length: width * height }, (_, i) => Math.imul(i + 1, 0x9e3779b1) >>> 16);
      const small = await shrinkSource(grey(width, height, values), 1 + (a % width), 1 + (b % height));
      const mean = (list: ArrayLike<number>) => Array.from(list).reduce((sum, value) => sum + value, 0) / list.length;
      expect(Math.abs(mean(small) - mean(values))).toBeLessThan(1);
    }),
  );
});

test('at its own size the source is left as it is', async () => {
  const values = [1, 2, 3, 4, 5, 6];
  expect([...(await shrinkSource(grey(3, 2, values), 3, 2))]).toEqual(values.flatMap((v) => [v, v, v]));
});
