import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { stateDictCheckpoint } from '../../../../test/helpers/checkpoint.ts';
import { describeElf, type PresetName, parseManifest, sha256 } from '../index.ts';
import { type WeightTensor, writeSafetensors } from '../weights/index.ts';
import { importCheckpoint } from './import-checkpoint.ts';

/** Made-up weights of a preset; shared tensors share, values fit float16. */
function weightsOf(preset: PresetName): Map<string, WeightTensor> {
  const state = new Map<string, WeightTensor>();
  for (const { key, shape, shared } of describeElf(preset).parameters) {
    const length = shape.reduce((product, side) => product * side, 1);
    const seed = shared?.length ?? state.size;
    state.set(key, {
      dtype: 'F32',
      shape,
      data: Float32Array.from({ length }, (_, i) => ((i + seed) % 64) / 64 - 0.5),
    });
  }
  return state;
}

const light = weightsOf('elf-lw');

test.each<PresetName>(['elf', 'elf-prelu', 'elf-lw', 'alformer'])(
  'a PyTorch checkpoint of %s becomes a model folder',
  async (preset) => {
    const state = weightsOf(preset);
    const { manifest, weights, path, keys } = await importCheckpoint(stateDictCheckpoint(state), {
      preset,
      task: 'derain',
    });
    expect(parseManifest(manifest)).toEqual({
      format: 1,
      preset,
      task: 'derain',
      variant: 'imported',
      crop: 256,
      sha256: await sha256(weights),
      dtype: 'float32',
      license: 'unknown',
      data: [],
      scores: [],
    });
    expect([path, keys]).toEqual([[], describeElf(preset).parameters.length]);
    expect(await sha256(weights)).toBe(
      await sha256(writeSafetensors(state, { metadata: { preset, task: 'derain', crop: '256' } })),
    );
  },
);

test('DataParallel keys, aliases stored once and a trainer’s metadata come out the same', async () => {
  const options = { preset: 'elf-lw', task: 'derain', crop: 128 } as const;
  const { manifest } = await importCheckpoint(writeSafetensors(light), options);
  const prefixed = new Map([...light].map(([key, value]) => [`module.${key}`, value]));
  expect((await importCheckpoint(stateDictCheckpoint(prefixed), options)).manifest).toEqual(manifest);
  const stored = new Set<string>();
  const once = new Map(light);
  for (const { key, shared } of describeElf('elf-lw').parameters) {
    if (shared !== undefined && stored.has(shared)) once.delete(key);
    else if (shared !== undefined) stored.add(shared);
  }
  expect(light.size - once.size).toBe(12);
  const bytes = writeSafetensors(once, { metadata: { crop: '128', steps: '9' } });
  expect((await importCheckpoint(bytes, { preset: 'elf-lw', task: 'derain' })).manifest).toEqual(manifest);
});

test('slopes that elf stores and never reads may be missing', async () => {
  const state = weightsOf('elf');
  for (const key of [...state.keys()]) if (key.endsWith('ffn.act1.weight')) state.delete(key);
  expect(state.size).toBe(632 - 23);
  expect((await importCheckpoint(writeSafetensors(state), { preset: 'elf', task: 'derain' })).keys).toBe(609);
});

test('a preset is recognised by its keys, a task by the file’s own word', async () => {
  const bytes = writeSafetensors(weightsOf('alformer'), { metadata: { task: 'lowlight' } });
  expect((await importCheckpoint(bytes, {})).manifest).toMatchObject({ preset: 'alformer', task: 'lowlight' });
  const silent = writeSafetensors(light);
  await expect(importCheckpoint(silent, {})).rejects.toMatchObject({
    code: 'OPTION_INVALID',
    message: expect.stringMatching(/Name the task/),
  });
});

test('keys that two presets share need a word', async () => {
  const state = weightsOf('elf');
  await expect(importCheckpoint(writeSafetensors(state), { task: 'derain' })).rejects.toMatchObject({
    code: 'WEIGHTS_MISMATCH',
    message: expect.stringMatching(/has the keys of elf and of elf-prelu\. Name the preset/),
  });
  const told = writeSafetensors(state, { metadata: { preset: 'elf-prelu' } });
  expect((await importCheckpoint(told, { task: 'derain' })).manifest.preset).toBe('elf-prelu');
});

test('float16 stays float16 unless asked, and options land in the manifest', async () => {
  const half = writeSafetensors(light, { dtype: 'F16' });
  const options = {
    preset: 'elf-lw',
    task: 'lowlight',
    variant: 'mine',
    license: 'CC0-1.0',
    data: [{ name: 'own photos', license: 'CC0-1.0' }],
  } as const;
  const kept = await importCheckpoint(half, options);
  expect(kept.manifest).toMatchObject({ ...options, dtype: 'float16' });
  expect(kept.weights.length).toBeLessThan(half.length + 100);
  expect((await importCheckpoint(half, { ...options, dtype: 'float32' })).manifest.dtype).toBe('float32');
});

const fixture = (name: string) => readFileSync(new URL(`../../../../test/fixtures/weights/${name}`, import.meta.url));
const broken = new Map(light).set('dsnet.tail.weight', {
  ...light.get('dsnet.tail.weight')!,
  data: light.get('dsnet.tail.weight')!.data.map((value, i) => (i === 3 ? NaN : value)),
});

test.each<[string, Uint8Array, string, RegExp]>([
  ['a hostile pickle', fixture('malicious.pth'), 'WEIGHTS_UNSAFE', /posix\.system/],
  [
    'another network',
    fixture('bare.pth'),
    'WEIGHTS_MISMATCH',
    /x\.pth does not fit elf-lw: keys 499 missing .*3 unexpected/,
  ],
  [
    'another preset',
    stateDictCheckpoint(weightsOf('alformer')),
    'WEIGHTS_MISMATCH',
    /They are weights of alformer: name that preset\.$/,
  ],
  ['NaN', writeSafetensors(broken), 'WEIGHTS_NOT_FINITE', /dsnet\.tail\.weight/],
  ['an empty file', new Uint8Array(0), 'WEIGHTS_CORRUPT', /x\.pth is empty/],
  ['half a file', writeSafetensors(light).subarray(0, 1_000_000), 'WEIGHTS_CORRUPT', /cut short/],
])('%s is refused', async (_, bytes, code, message) => {
  await expect(importCheckpoint(bytes, { preset: 'elf-lw', task: 'derain', where: 'x.pth' })).rejects.toMatchObject({
    code,
    message: expect.stringMatching(message),
  });
});

test('options that a manifest cannot hold are refused', async () => {
  const options = { preset: 'elf-lw', task: 'derain', variant: '../up' } as const;
  await expect(importCheckpoint(writeSafetensors(light), options)).rejects.toMatchObject({ code: 'MANIFEST_INVALID' });
});
