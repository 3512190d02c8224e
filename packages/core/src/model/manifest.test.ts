import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isElfinError } from '../base/errors.ts';
import { type Manifest, modelName, modelSize, PRESETS, parseManifest, parseModelName, VARIANT } from './manifest.ts';
import { TASKS } from './models.ts';

const manifest: Manifest = {
  format: 1,
  preset: 'elf-lw',
  task: 'derain',
  variant: 'start',
  crop: 128,
  sha256: '0123456789abcdef'.repeat(4),
  dtype: 'float16',
  license: 'MIT',
  data: [{ name: 'CID22', license: 'CC BY-SA 4.0' }],
  scores: [{ set: 'kodak', metric: 'psnr-y', input: 14, output: 24.5 }],
};

test('a manifest is read from an object and from text', () => {
  expect(parseManifest(manifest)).toEqual(manifest);
  expect(parseManifest(JSON.stringify(manifest))).toEqual(manifest);
  expect(
    parseManifest({ ...manifest, scores: [{ set: 's', metric: 'uciqe', output: 0.5 }] }).scores[0],
  ).not.toHaveProperty('input');
});

test('manifests that spell it licence are read', () => {
  const { license, data, ...rest } = manifest;
  const former = { ...rest, licence: license, data: data.map(({ name }) => ({ name, licence: 'CC BY-SA 4.0' })) };
  expect(parseManifest(former)).toEqual(manifest);
});

test.each<[string, unknown, string]>([
  ['no JSON', '{', 'm.json is not JSON.'],
  ['a list', [], 'm.json: the root should be an object, but is [].'],
  ['another format', { ...manifest, format: 2 }, 'm.json: format should be 1, but is 2.'],
  [
    'no preset',
    { ...manifest, preset: undefined },
    'm.json: preset should be "elf" or "elf-prelu" or "elf-lw" or "alformer", but is nothing.',
  ],
  [
    'a task in capitals',
    { ...manifest, task: 'Derain' },
    'm.json: task should be "derain" or "lowlight" or "underwater", but is "Derain".',
  ],
  [
    'a variant with a slash',
    { ...manifest, variant: '../x' },
    'm.json: variant should be a word of at most 40 letters a–z, digits, dots and inner hyphens, but is "../x".',
  ],
  [
    'a crop off the grid',
    { ...manifest, crop: 100 },
    'm.json: crop should be a multiple of 16 from 16 to 4096, but is 100.',
  ],
  ['a crop as text', { ...manifest, crop: '128' }, 'm.json: crop should be a finite number, but is "128".'],
  [
    'half a digest',
    { ...manifest, sha256: 'abc' },
    'm.json: sha256 should be 64 lower-case hexadecimal digits, but is "abc".',
  ],
  ['another dtype', { ...manifest, dtype: 'int8' }, 'm.json: dtype should be "float32" or "float16", but is "int8".'],
  [
    'a licence spelled both ways',
    { ...manifest, licence: 'MIT' },
    'm.json: licence should be nothing (the field is unknown), but is "MIT".',
  ],
  ['an empty licence', { ...manifest, license: ' ' }, 'm.json: license should be some text, but is " ".'],
  [
    'data without a licence',
    { ...manifest, data: [{ name: 'x' }] },
    'm.json: data[0].license should be some text, but is nothing.',
  ],
  [
    'a score that is no number',
    { ...manifest, scores: [{ set: 's', metric: 'm', output: null }] },
    'm.json: scores[0].output should be a finite number, but is null.',
  ],
  [
    'a field too many',
    { ...manifest, licens: 'MIT' },
    'm.json: licens should be nothing (the field is unknown), but is "MIT".',
  ],
  [
    'a field too many inside',
    { ...manifest, data: [{ name: 'x', license: 'y', url: 'z' }] },
    'm.json: data[0].url should be nothing (the field is unknown), but is "z".',
  ],
])('%s is refused', (_, input, message) => {
  expect(() => parseManifest(input, 'm.json')).toThrow(expect.objectContaining({ code: 'MANIFEST_INVALID', message }));
});

test('whatever the input, it is read whole or refused', () => {
  const field = fc.constantFrom(...Object.keys(manifest));
  fc.assert(
    fc.property(
      fc.oneof(
        fc.anything(),
        fc.tuple(field, fc.anything()).map(([key, value]) => ({ ...manifest, [key]: value })),
      ),
      (input) => {
        try {
          expect(parseManifest(input)).toEqual(input);
        } catch (error) {
          expect(isElfinError(error) && error.code).toBe('MANIFEST_INVALID');
        }
      },
    ),
  );
});

test('a name tells task, size, variant and digest, and is read back', () => {
  expect(modelName(manifest)).toBe('derain-lw-start-0123456789ab');
  fc.assert(
    fc.property(
      fc.constantFrom(...TASKS),
      fc.constantFrom(...PRESETS),
      fc.stringMatching(VARIANT),
      (task, preset, variant) => {
        const name = modelName({ ...manifest, task, preset, variant });
        expect(parseModelName(name)).toEqual({ task, size: modelSize(preset), variant, digest12: '0123456789ab' });
      },
    ),
  );
});

test.each([
  'derain-lw-start',
  'dehaze-lw-start-0123456789ab',
  'derain-xl-start-0123456789ab',
  'derain-lw--0123456789ab',
  '',
])('%j is no name', (name) => {
  expect(parseModelName(name)).toBeUndefined();
});
