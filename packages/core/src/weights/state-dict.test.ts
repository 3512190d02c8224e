import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { isElfinError } from '../base/errors.ts';
import type { ExpectedParameter } from './keys.ts';
import { loadStateDict, type StoredWeights, type WeightTensor } from './state-dict.ts';
import { readTorch } from './torch.ts';

const tensor = (shape: number[], ...values: number[]): WeightTensor => ({
  dtype: 'F32',
  shape,
  data: Float32Array.from(values),
});
const stored = (tensors: Record<string, WeightTensor>, other: Record<string, string> = {}): StoredWeights => ({
  state: new Map(Object.entries(tensors)),
  other: new Map(Object.entries(other)),
});

const EXPECTED: readonly ExpectedParameter[] = [
  { key: 'a.weight', shape: [2] },
  { key: 'a.slope', shape: [1], shared: 'left' },
  { key: 'b.slope', shape: [1], shared: 'left' },
  { key: 'c.slope', shape: [1], shared: 'right' },
  { key: 'c.act1.weight', shape: [1], unused: true },
];
const good = {
  'a.weight': tensor([2], 1, 2),
  'a.slope': tensor([1], 0.25),
  'b.slope': tensor([1], 0.25),
  'c.slope': tensor([1], 0.5),
};

function failure(weights: StoredWeights, options?: Parameters<typeof loadStateDict>[2]) {
  try {
    loadStateDict(weights, EXPECTED, options);
  } catch (error) {
    if (isElfinError(error)) return error;
    throw error;
  }
  throw new Error('loaded');
}

test('what fits is given in the order of the network', () => {
  const shuffled = Object.fromEntries(Object.entries(good).reverse());
  expect([...loadStateDict(stored(shuffled), EXPECTED).keys()]).toEqual(Object.keys(good));
});

test('unused keys may be there', () => {
  const loaded = loadStateDict(stored({ ...good, 'c.act1.weight': tensor([1], 9) }), EXPECTED);
  expect(loaded.size).toBe(5);
});

test.each(['module.', 'module.module.', '_orig_mod.module.'])('the prefix %s goes', (prefix) => {
  const wrapped = Object.fromEntries(Object.entries(good).map(([key, value]) => [prefix + key, value]));
  expect([...loadStateDict(stored(wrapped), EXPECTED).keys()]).toEqual(Object.keys(good));
});

test('a prefix on some keys only is no wrapper, and is reported', () => {
  const { 'a.weight': weight, ...rest } = good;
  expect(failure(stored({ ...rest, 'module.a.weight': weight })).data).toMatchObject({
    missing: ['a.weight'],
    unexpected: ['module.a.weight'],
  });
});

test('a shared tensor stored once is found under each of its keys', () => {
  const { 'a.slope': _, ...once } = good;
  const loaded = loadStateDict(stored(once), EXPECTED);
  expect(loaded.get('a.slope')).toBe(loaded.get('b.slope'));
});

test('a shared tensor stored with two values is refused, a difference between groups is not', () => {
  expect(
    failure(stored({ ...good, 'b.slope': tensor([1], 0.26) }), { where: 'x.pth', network: 'elf-lw' }),
  ).toMatchObject({
    code: 'WEIGHTS_MISMATCH',
    message:
      'Cannot load weights: x.pth is not of elf-lw, which shares one tensor between a.slope and b.slope: they differ.',
  });
});

test('missing, unexpected and mis-shaped keys stand in one error', () => {
  const { 'a.weight': _, ...rest } = good;
  const weights = stored({ ...rest, 'c.slope': tensor([2], 0, 0), extra: tensor([], 0) }, { steps: 'I64' });
  expect(failure(weights, { where: 'x.pth', network: 'elf-lw' })).toMatchObject({
    code: 'WEIGHTS_MISMATCH',
    message:
      'Cannot load weights: x.pth does not fit elf-lw: keys 1 missing (a.weight), 2 unexpected (extra, steps (I64)), ' +
      '1 of another shape (c.slope: [2] instead of [1]).',
    data: { missing: ['a.weight'], unexpected: ['extra', 'steps (I64)'], misshaped: ['c.slope: [2] instead of [1]'] },
  });
});

test('very many keys stay one line, and whole in the data', () => {
  const many = Object.fromEntries(Array.from({ length: 600 }, (_, i) => [`k${i}`, tensor([], 0)]));
  const error = failure(stored({ ...good, ...many }));
  expect(error.message).toMatch(/600 unexpected \(k0, k1, k2, k3, k4 and 595 more\)/);
  expect(error.data.unexpected).toHaveLength(600);
});

test('weights of another network are recognised', () => {
  const others = () => [
    ['elf', [{ key: 'y', shape: [1] }]] as const,
    ['alformer', [{ key: 'x', shape: [1] }]] as const,
  ];
  expect(failure(stored({ 'module.x': tensor([1], 1) }), { others }).message).toMatch(
    /They are weights of alformer: name that preset\.$/,
  );
});

test.each([NaN, Infinity, -Infinity])('%s is refused by key', (value) => {
  expect(failure(stored({ ...good, 'a.weight': tensor([2], 1, value) }))).toMatchObject({
    code: 'WEIGHTS_NOT_FINITE',
    data: { keys: ['a.weight'] },
  });
});

test('a checkpoint of DataParallel, from its file to the network', () => {
  const file = readFileSync(new URL('../../../../test/fixtures/weights/parallel.pth', import.meta.url));
  const expected = [
    { key: 'scale', shape: [] },
    { key: 'tail.weight', shape: [2, 3, 2] },
    { key: 'tail.bias', shape: [2] },
  ];
  const loaded = loadStateDict(readTorch(file), expected);
  expect([...loaded].map(([key, { data }]) => [key, data.length])).toEqual([
    ['scale', 1],
    ['tail.weight', 12],
    ['tail.bias', 2],
  ]);
});
