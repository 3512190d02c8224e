import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ElfinError } from '../base/errors.ts';
import { sha256 } from '../base/sha256.ts';
import { CLASSIFIER_DIGEST } from '../classify/digest.ts';
import type { Models } from '../model/models.ts';
import type { ResultOptions } from '../options/table.ts';
import { planTiles } from '../tiling/plan.ts';
import { canonicalOptions, parseResultOptions, type ResultIdentity, resultKey, resultModels } from './result-key.ts';

const anyOptions: fc.Arbitrary<ResultOptions> = fc.record(
  {
    restore: fc.constantFrom('derain', 'lowlight', 'underwater', 'auto', 'none'),
    format: fc.constantFrom('jpeg', 'png', 'webp', 'avif', 'tiff'),
    strength: fc.integer({ min: 0, max: 1000 }).map((n) => n / 1000),
    model: fc.constantFrom('lw', 'full'),
    tiling: fc.constantFrom('auto', 'local', 'global', 'whole'),
    tile: fc.integer({ min: 4, max: 128 }).map((n) => 16 * n),
    overlap: fc.integer({ min: 0, max: 32 }).map((n) => 32 * n),
    passes: fc.integer({ min: 0, max: 8 }),
    width: fc.integer({ min: 1, max: 8192 }),
    height: fc.integer({ min: 1, max: 8192 }),
    fit: fc.constantFrom('scale-down', 'contain', 'cover', 'crop', 'pad'),
    quality: fc.integer({ min: 1, max: 100 }),
    metadata: fc.constantFrom('none', 'copyright', 'keep'),
  },
  { requiredKeys: ['restore', 'format'] },
);
const options = anyOptions.filter(({ tile = 512, overlap = 0 }) => overlap <= tile / 2);
const digest = fc.stringMatching(/^[0-9a-f]{64}$/);
const identities: fc.Arbitrary<ResultIdentity> = fc.record({
  source: fc.webUrl(),
  validator: fc.oneof(
    fc.record({ etag: fc.stringMatching(/^[\x21-\x7e]{1,20}$/).filter((text) => !text.startsWith('W/')) }),
    fc.record({ version: fc.stringMatching(/^[\x21-\x7e]{1,20}$/) }),
    fc.record({ sha256: digest }),
  ),
  options,
  models: fc.array(digest, { maxLength: 3 }),
  codec: fc.record({ name: fc.string(), version: fc.string() }),
});

test('sorted, without defaults and without options that decide nothing', () => {
  expect(
    canonicalOptions({ restore: 'derain', format: 'webp', width: 1200, strength: 1, model: 'lw', metadata: 'none' }),
  ).toBe('format=webp,restore=derain,width=1200');
  expect(
    canonicalOptions({
      restore: 'none',
      format: 'png',
      strength: 0.5,
      quality: 80,
      fit: 'cover',
      tile: 256,
      overlap: 224,
    }),
  ).toBe('format=png,restore=none');
  expect(canonicalOptions({ restore: 'auto', format: 'jpeg', strength: 0.1 + 0.2, tiling: 'local', passes: 2 })).toBe(
    'format=jpeg,restore=auto,strength=0.3,tiling=local',
  );
});

test('the canonical form is read back to itself, in any order', () => {
  fc.assert(
    fc.property(options, fc.func(fc.integer()), (given, rank) => {
      const text = canonicalOptions(given);
      const shuffled = text.split(',').toSorted((a, b) => rank(a) - rank(b));
      expect(canonicalOptions(parseResultOptions(shuffled.join(',')))).toBe(text);
    }),
  );
});

test('options that are told apart have different forms', () => {
  const told = (given: ResultOptions) => parseResultOptions(canonicalOptions(given));
  fc.assert(
    fc.property(options, options, (a, b) => {
      expect(canonicalOptions(a) === canonicalOptions(b)).toBe(JSON.stringify(told(a)) === JSON.stringify(told(b)));
    }),
  );
});

test.each([
  '',
  'restore=derain',
  'format=png',
  'restore=derain,format=png,format=png',
  'restore=derain,format=png,',
  'restore=derain, format=png',
  'restore=derain,format=auto',
  'restore=derain,format=png,strength=2',
  'restore=derain,format=png,strength=1e-1',
  'restore=derain,format=png,strength=',
  'restore=derain,format=png,width=0x10',
  'restore=derain,format=png,width=1.5',
  'restore=derain,format=png,width=0',
  'restore=derain,format=png,tile=48',
  'restore=derain,format=png,tile=100',
  'restore=derain,format=png,overlap=16',
  'restore=derain,format=png,overlap=288',
  'restore=derain,format=png,tile=128,overlap=96',
  'restore=derain,format=png,passes=9',
  'restore=derain,format=png,__proto__=1',
  'restore=derain,format=png,constructor=1',
])('refuses %j', (text) => {
  expect(() => parseResultOptions(text)).toThrow(expect.objectContaining({ code: 'OPTION_INVALID' }));
});

test('no text makes the parser fail otherwise than by its own error', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), options.map(canonicalOptions), fc.stringMatching(/^[a-z]+=[^,]*$/)), (text) => {
      try {
        canonicalOptions(parseResultOptions(text));
      } catch (error) {
        expect(error).toMatchObject({ code: 'OPTION_INVALID' });
      }
    }),
    { numRuns: 1000 },
  );
});

test('whatever is read can be planned', () => {
  const asked = fc.record(
    {
      tiling: fc.constantFrom('auto', 'local', 'global', 'whole'),
      tile: fc.oneof(
        fc.integer({ min: 0, max: 300 }),
        fc.integer({ min: 0, max: 70 }).map((n) => 16 * n),
      ),
      overlap: fc.oneof(
        fc.integer({ min: 0, max: 300 }),
        fc.integer({ min: 0, max: 20 }).map((n) => 32 * n),
      ),
      passes: fc.integer({ min: 0, max: 20 }),
    },
    { requiredKeys: [] },
  );
  const size = { width: 900, height: 700, crop: 128 };
  let planned = 0;
  fc.assert(
    fc.property(asked, (given) => {
      const pairs = Object.entries({ restore: 'derain', format: 'png', ...given }).map((pair) => pair.join('='));
      let read: ResultOptions;
      try {
        read = parseResultOptions(pairs.join(','));
      } catch {
        return;
      }
      const { tiling, tile, overlap, passes } = read;
      planTiles({
        ...size,
        ...(tiling && { mode: tiling }),
        ...(tile !== undefined && { tile }),
        ...(overlap !== undefined && { overlap }),
        ...(passes !== undefined && { passes }),
      });
      planned++;
    }),
    { numRuns: 2000 },
  );
  expect(planned).toBeGreaterThan(200);
});

test('only what the classifier decides is named after it', async () => {
  const named = (restore: 'auto' | 'derain', models: string[]) =>
    resultKey({
      source: 's',
      validator: { version: '1' },
      options: { restore, format: 'png' },
      models,
      codec: { name: 'c', version: '1' },
    });
  const digest = (text: string) => sha256(new TextEncoder().encode(text));
  const parts = (restore: string, ...more: string[][]) =>
    JSON.stringify([
      ['elfin-result', 4],
      ['source', 's'],
      ['version', '1'],
      ['options', `format=png,restore=${restore}`],
      ['models', 'a'],
      ...more,
      ['codec', 'c', '1'],
    ]);
  expect(await named('auto', ['a'])).toBe(await digest(parts('auto', ['classifier', CLASSIFIER_DIGEST])));
  expect(await named('derain', ['a'])).toBe(await digest(parts('derain')));
});

test('a key is 64 hex digits and depends on every part', async () => {
  await fc.assert(
    fc.asyncProperty(identities, identities, async (a, b) => {
      const key = await resultKey(a);
      expect(key).toMatch(/^[0-9a-f]{64}$/);
      for (const part of ['source', 'validator', 'options', 'models', 'codec'] as const) {
        const changed = { ...a, [part]: b[part] };
        const same =
          part === 'options'
            ? canonicalOptions(a.options) === canonicalOptions(b.options)
            : JSON.stringify(changed) === JSON.stringify(a) ||
              (part === 'models' && JSON.stringify(a.models.toSorted()) === JSON.stringify(b.models.toSorted()));
        expect((await resultKey(changed)) === key).toBe(same);
      }
    }),
  );
});

test('an ETag never passes for a version id or a digest', async () => {
  const common = {
    source: 's3://b/k',
    options: { restore: 'derain', format: 'png' },
    models: [],
    codec: { name: 'c', version: '1' },
  } as const;
  const value = 'a'.repeat(64);
  const keys = await Promise.all(
    [{ etag: value }, { version: value }, { sha256: value }].map((validator) => resultKey({ ...common, validator })),
  );
  expect(new Set(keys).size).toBe(3);
});

test('what does not pin the bytes is refused', async () => {
  const rest = { source: 's', models: [], codec: { name: 'c', version: '1' } } as const;
  for (const validator of [{ etag: 'W/"1"' }, { etag: '' }, { version: '' }]) {
    await expect(
      resultKey({ ...rest, validator, options: { restore: 'derain', format: 'png' } }),
    ).rejects.toMatchObject({ code: 'OPTION_INVALID' });
  }
});

test('auto is named after every model that there is, and after none where one cannot be had for the moment', async () => {
  const modelsBut = (error: ElfinError, ...lacking: string[]): Models => ({
    resolve: async (task) => {
      if (lacking.includes(task)) throw error;
      return { digest: task } as Awaited<ReturnType<Models['resolve']>>;
    },
  });
  const unknown = new ElfinError('MODEL_UNKNOWN', 'There is none.');
  const away = new ElfinError('NETWORK_FAILED', 'Try later.');
  const auto = { restore: 'auto' } as const;
  expect(await resultModels(modelsBut(unknown), auto)).toEqual(['derain', 'lowlight', 'underwater']);
  expect(await resultModels(modelsBut(unknown, 'lowlight'), auto)).toEqual(['derain', 'underwater']);
  await expect(resultModels(modelsBut(away, 'lowlight'), auto)).rejects.toBe(away);
  await expect(resultModels(modelsBut(unknown, 'derain', 'lowlight', 'underwater'), auto)).rejects.toBe(unknown);
  expect(await resultModels(modelsBut(away, 'lowlight'), { restore: 'derain' })).toEqual(['derain']);
  expect(await resultModels(modelsBut(away, 'derain'), { restore: 'none' })).toEqual([]);
});
