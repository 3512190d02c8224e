import { type EmitOptions, PRESETS } from '@elfin/core';
import { createStatisticsTotal } from '@elfin/core/tiling';
import { describe, expect, test } from 'vitest';
import { cut, distance, magnitude, openElf, type Plain, quadrantsOf, type Runner, readGolden } from '../helpers/elf.ts';

const flat = (shape: readonly number[], value: number): Plain => ({
  shape,
  data: new Float32Array(shape.reduce((a, b) => a * b)).fill(value),
});

/** A core of ones within zeros on a grid. */
function mask(
  height: number,
  width: number,
  rows: readonly [number, number],
  columns: readonly [number, number],
): Plain {
  const core = flat([1, 1, height, width], 0);
  for (let y = rows[0]; y < rows[1]; y++) core.data.fill(1, y * width + columns[0], y * width + columns[1]);
  return core;
}

/** A smooth, busy picture: sides beyond the golden ones. */
function picture(height: number, width: number): Plain {
  const image = flat([1, 3, height, width], 0);
  image.data.forEach((_, i) => {
    const [x, y, c] = [i % width, Math.floor(i / width) % height, Math.floor(i / width / height)];
    image.data[i] = 0.5 + 0.2 * Math.sin(x * 0.31 + c) * Math.cos(y * 0.17) + 0.3 * Math.sin((x * y) / 977 + 2 * c);
  });
  return image;
}

describe.each(PRESETS)('%s', (preset) => {
  const golden = readGolden(preset);
  const options: EmitOptions = { model: golden.model, weights: golden.weights };
  // Opened once: it takes longer than to run them.
  const opened: Partial<Record<'reference' | 'native', Promise<Runner>>> = {};
  const openGiven = (target: 'reference' | 'native') =>
    (opened[target] ??= openElf({ ...options, target, statistics: 'given', quadrants: 'given' }));

  test.each(['reference', 'native'] as const)(
    'given the whole picture’s statistics and quadrants equals own (%s)',
    async (target) => {
      const own = await openElf({ ...options, target });
      const given = await openGiven(target);
      const whole = await own.run({ image: golden.input });
      const [, , height, width] = golden.input.shape as [number, number, number, number];
      const [h, w] = [height / 2, width / 2];

      const total = createStatisticsTotal(own.emitted.statistics);
      total.add(whole.sums!.data as Float32Array);
      const feeds = {
        image: golden.input,
        quadrants: quadrantsOf(golden.input),
        statistics: { shape: [1, whole.sums!.data.length], data: total.means(h, w) },
      };
      const again = await given.run({ ...feeds, core: flat([1, 1, h, w], 1) });
      expect(distance(again.restored!, whole.restored!)).toBeLessThan(1e-4);
      expect(distance(again.background!, whole.background!)).toBeLessThan(1e-4);

      // Sums of this pass over the whole core are the statistics again: compared as means, relative to the largest.
      const fixed = createStatisticsTotal(given.emitted.statistics);
      fixed.add(again.sums!.data as Float32Array);
      const means = { shape: feeds.statistics.shape, data: fixed.means(h, w) };
      const largest = magnitude(means);
      expect(distance(means, feeds.statistics) / largest).toBeLessThan(1e-5);
      expect(given.emitted.statistics).toEqual(own.emitted.statistics);
    },
  );

  test('sums over cores that partition the grid add up', async () => {
    const given = await openGiven('native');
    const [, , height, width] = golden.input.shape as [number, number, number, number];
    const [h, w] = [height / 2, width / 2];
    const length = given.emitted.statistics.reduce((sum, slot) => sum + slot.length, 0);
    const feeds = { image: golden.input, quadrants: quadrantsOf(golden.input), statistics: flat([1, length], 0.25) };
    const sums = async (core: Plain) => (await given.run({ ...feeds, core })).sums!.data;
    const whole = await sums(flat([1, 1, h, w], 1));
    const left = await sums(mask(h, w, [0, h], [0, 16]));
    const right = await sums(mask(h, w, [0, h], [16, w]));
    const largest = magnitude({ data: whole });
    const parts = { shape: [length], data: Float32Array.from(left, (value, i) => value + right[i]!) };
    expect(distance(parts, { shape: [length], data: whole }) / largest).toBeLessThan(1e-5);
  });
});

test('with exact statistics a tile agrees with the whole picture where its halo is wide', async () => {
  const golden = readGolden('elf-lw');
  const options: EmitOptions = { model: golden.model, weights: golden.weights };
  const own = await openElf(options);
  const given = await openElf({ ...options, statistics: 'given', quadrants: 'given' });
  const image = picture(256, 512);
  const whole = await own.run({ image });
  const total = createStatisticsTotal(own.emitted.statistics);
  total.add(whole.sums!.data as Float32Array);
  const statistics = { shape: [1, whole.sums!.data.length], data: total.means(128, 256) };

  // The left 384 of 512 columns: clipped at three sides of the picture, cut at one.
  const tile = await given.run({
    image: cut(image, [0, 256], [0, 384]),
    quadrants: cut(quadrantsOf(image), [0, 128], [0, 192]),
    core: flat([1, 1, 128, 192], 1),
    statistics,
  });
  const interior = [0, 128] as const;
  const near = cut(tile.restored!, [0, 256], interior);
  expect(distance(near, cut(whole.restored!, [0, 256], interior))).toBeLessThan(1e-4);
  // At the cut itself it differs: the halo is what buys the agreement.
  expect(
    distance(cut(tile.restored!, [0, 256], [376, 384]), cut(whole.restored!, [0, 256], [376, 384])),
  ).toBeGreaterThan(1e-4);
});
