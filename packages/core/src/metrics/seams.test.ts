import { expect, test } from 'vitest';
import { seeded } from '../../../../test/helpers/seeded-model.ts';
import type { PixelImage } from '../image/pixels.ts';
import { seamStrength } from './index.ts';

/** Grey noise of ±20 about 100, with `step` added right of `column` and below `row`. */
function noise(width: number, height: number, { column = width, row = height, step = 0 } = {}): PixelImage {
  const random = seeded(1);
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++) {
    const beyond = (i % width >= column ? step : 0) + (i >= row * width ? step : 0);
    data.fill(80 + 40 * random() + beyond, 3 * i, 3 * i + 3);
  }
  return { width, height, channels: 3, data };
}

test('a line through even noise is like any other place', () => {
  expect(seamStrength(noise(200, 150), { columns: [64, 128], rows: [100] })).toBeLessThan(1.1);
});

test('a step at a line shows, along columns and along rows, and at no other line', () => {
  const across = noise(200, 150, { column: 64, step: 60 });
  const down = noise(200, 150, { row: 64, step: 60 });
  expect(seamStrength(across, { columns: [64], rows: [] })).toBeGreaterThan(2);
  expect(seamStrength(across, { columns: [66], rows: [66] })).toBeLessThan(1.2);
  expect(seamStrength(down, { columns: [], rows: [64] })).toBeGreaterThan(2);
  expect(seamStrength(down, { columns: [66], rows: [66] })).toBeLessThan(1.2);
});

test('is the formula: one bright column in black', () => {
  const data = new Uint8Array(8 * 3 * 3);
  for (const y of [0, 1, 2]) data.fill(255, (y * 8 + 4) * 3, (y * 8 + 5) * 3);
  const image: PixelImage = { width: 8, height: 3, channels: 3, data };
  // Jumps along each row, at x = 2…6, in units of the column's height: 0, ½, 1½, 1½, ½; three rows are too few for any down.
  expect(seamStrength(image, { columns: [4], rows: [] })).toBeCloseTo(1.5 / ((0 + 0.5 + 1.5 + 0.5) / 4), 9);
});

test('a picture without a line inside has none to measure', () => {
  expect(seamStrength(noise(40, 40), { columns: [0, 1, 39], rows: [] })).toBeNaN();
});
