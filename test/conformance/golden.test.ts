import { describeElf, PRESETS, type PresetName } from '@elfin/core';
import { describe, expect, test } from 'vitest';
import { distance, openElf, readGolden } from '../helpers/elf.ts';

// From the authors' code, by instantiating it: numbers stored, keys, unused keys, floats of statistics, and multiply-adds
// of one 256×256 picture in convolutions and in attentions (the figures to two decimals in the paper's tables).
const FACTS: Record<
  PresetName,
  { stored: number; keys: number; unused: number; statistics: number; macs: [number, number] }
> = {
  elf: { stored: 1_536_785, keys: 632, unused: 23, statistics: 32_400, macs: [16.53, 0.92] },
  'elf-prelu': { stored: 1_536_785, keys: 632, unused: 0, statistics: 32_400, macs: [16.53, 0.92] },
  'elf-lw': { stored: 568_308, keys: 499, unused: 0, statistics: 14_688, macs: [5.34, 0.41] },
  alformer: { stored: 1_223_972, keys: 512, unused: 0, statistics: 21_648, macs: [11.44, 0.6] },
};

describe.each(PRESETS)('%s', (preset) => {
  const golden = readGolden(preset);

  test.each(['reference', 'native', 'wasm', 'webgpu', 'simd'] as const)(
    'lowered for %s equals the authors’ network',
    async (target) => {
      const { run } = await openElf({ model: golden.model, weights: golden.weights, target });
      const { restored, background } = await run({ image: golden.input });
      expect(distance(restored!, golden.output)).toBeLessThan(1e-4);
      expect(distance(background!, golden.background)).toBeLessThan(1e-4);
    },
  );

  test('stores what the authors’ network stores, under its keys', () => {
    const { stored, parameters, statisticsLength, convolutionMacs, attentionMacs } = describeElf(preset);
    const { keys, unused, statistics, macs, ...facts } = FACTS[preset];
    expect(stored).toBe(facts.stored);
    expect(parameters.length).toBe(keys);
    expect(parameters.filter((parameter) => parameter.unused).length).toBe(unused);
    expect(statisticsLength).toBe(statistics);
    expect([convolutionMacs, attentionMacs].map((n) => Math.round(n / 1e7) / 100)).toEqual(macs);

    const small = describeElf(golden.model).parameters.map(({ key, shape }) => [key, shape]);
    const theirs = [...golden.weights].map(([key, { shape }]) => [key, shape]);
    expect(Object.fromEntries(small)).toEqual(Object.fromEntries(theirs));
  });

  test('has two slopes under the keys of all its attention blocks', () => {
    const shared = Map.groupBy(
      describeElf(preset).parameters.filter((parameter) => parameter.shared),
      ({ shared }) => shared,
    );
    expect([...shared].map(([name, keys]) => [name, keys.length])).toEqual([
      ['dsnet', 8],
      ['ssnet', 6],
    ]);
  });
});
