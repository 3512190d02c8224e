import fc from 'fast-check';
import { expect, test } from 'vitest';
import { closestName, isElfinError } from '../index.ts';
import { checkRestoreOptions, RESTORE_OPTION_NAMES, restoreOptionsOf } from '../restore/options.ts';
import { createRestorer } from '../restorer.ts';
import { TILING_OPTION_NAMES } from '../tiling/plan.ts';
import { checkOption, expectedText, type OptionRow, readOption, writeOption } from './row.ts';
import { optionsOn, pickResultOptions, RESULT_OPTIONS } from './table.ts';

const rows = Object.entries(RESULT_OPTIONS) as [string, OptionRow][];

test.each(rows)('%s: example and default are values of it, and are written as they are read', (name, row) => {
  for (const text of [row.example, ...(row.default === undefined ? [] : [String(row.default)])]) {
    const value = readOption(row, text);
    expect(value, text).toBeDefined();
    expect(writeOption(row, value!)).toBe(text);
    expect(() => checkOption(name, row, value)).not.toThrow();
  }
});

test('a row reads no text but its own canonical spelling and leading zeros', () => {
  fc.assert(
    fc.property(fc.constantFrom(...rows), fc.oneof(fc.string(), fc.double().map(String)), ([, row], text) => {
      const value = readOption(row, text);
      if (value === undefined) return;
      expect(readOption(row, writeOption(row, value))).toBe(value);
      if (typeof value === 'number') expect(value).toBe(Number(text) || 0);
      else expect(value).toBe(text);
    }),
    { numRuns: 2000 },
  );
});

test.each([
  ['strength', 2, 'strength must be a number from 0 to 1, not 2.'],
  ['strength', Number.NaN, 'strength must be a number from 0 to 1, not NaN.'],
  ['strength', '1', 'strength must be a number from 0 to 1, not "1".'],
  ['tile', 100, 'tile must be a multiple of 16 from 64 to 8192, not 100.'],
  ['passes', 1.5, 'passes must be a whole number from 0 to 8, not 1.5.'],
  ['fit', 'cove', 'fit must be one of scale-down, contain, cover, crop, pad, not "cove".'],
] as const)('%s %j is refused in one line', (name, value, message) => {
  expect(() => checkOption(name, RESULT_OPTIONS[name], value)).toThrow(
    expect.objectContaining({ code: 'OPTION_INVALID', message, data: { option: name } }),
  );
});

test('what a row takes is told of text with its decimals', () => {
  expect(expectedText(RESULT_OPTIONS.strength)).toBe('a number from 0 to 1 with at most 3 decimals');
});

test('a misspelt option is refused by name, whatever reaches a restorer from JavaScript', async () => {
  const restorer = createRestorer({ models: {} as never, runtime: {} as never });
  const image = { width: 1, height: 1, channels: 3, data: new Uint8Array(3) } as const;
  const tried = (options: object) =>
    restorer.restore(image, options as never).then(
      () => 'done',
      (error: unknown) => (isElfinError(error) ? `${error.code}: ${error.message}` : error),
    );
  expect(await tried({ task: 'derain', strenght: 0.5 })).toBe(
    'OPTION_INVALID: restore has no option strenght: did you mean strength?',
  );
  expect(await tried({ task: 'derain', tiling: { mod: 'local' } })).toBe(
    'OPTION_INVALID: tiling has no option mod: did you mean mode?',
  );
  expect(await tried({ task: 'derain', quality: 80 })).toBe(
    `OPTION_INVALID: restore has no option quality: known: ${RESTORE_OPTION_NAMES.join(', ')}.`,
  );
  expect(closestName('wdith', ['width', 'height'])).toBe('width');
  expect(closestName('colour', ['width', 'height'])).toBeUndefined();
});

test('every row of a restoration reaches the restorer, and every tiling row the planner', () => {
  const all = Object.fromEntries(rows.map(([name, row]) => [name, readOption(row, row.example)]));
  const told = restoreOptionsOf({ ...pickResultOptions(all), restore: 'derain', format: 'png' });
  checkRestoreOptions(told);
  for (const [name, { group }] of rows) {
    if (group === 'restoration' && name !== 'restore') {
      expect(told).toHaveProperty(name, all[name]);
      expect(RESTORE_OPTION_NAMES).toContain(name);
    }
  }
  expect(told).toMatchObject({ task: 'derain', tiling: { mode: 'global', tile: 512, overlap: 64, passes: 1 } });
  expect(TILING_OPTION_NAMES).toEqual(expect.arrayContaining(Object.keys(told.tiling as object)));
  expect(() => restoreOptionsOf({ restore: 'none', format: 'png' })).toThrow(/restore must be a task/);
});

test('surfaces are subsets of the table, in its order', () => {
  for (const surface of ['url', 'rule', 'flag'] as const) {
    const names = Object.keys(optionsOn(surface));
    expect(names).toEqual(rows.flatMap(([name, { on }]) => (on.includes(surface) ? [name] : [])));
    expect(names.length).toBeGreaterThan(3);
  }
});
