import { expect, test } from 'vitest';
import { readSources } from './imports.ts';

const written = readSources().filter(({ isGenerated }) => !isGenerated);
const lines = (text: string) => text.trimEnd().split('\n').length;

test('no file is longer than 400 lines', () => {
  const long = written.map(({ path, text }) => ({ path, lines: lines(text) })).filter(({ lines }) => lines > 400);
  expect(long).toEqual([]);
});

test('half of the source files have at most 120 lines', () => {
  const sizes = written
    .filter(({ path, isTest }) => path.startsWith('packages/') && !isTest)
    .map(({ text }) => lines(text))
    .toSorted((a, b) => a - b);
  expect(sizes.length).toBeGreaterThan(50);
  expect(sizes[Math.floor(sizes.length / 2)]).toBeLessThanOrEqual(120);
});
