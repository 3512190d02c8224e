import { expect, test } from 'vitest';
import { createModelRef, type Manifest, sha256 } from '../index.ts';

const bytes = Uint8Array.of(1, 2, 3);
const manifest: Manifest = {
  format: 1,
  preset: 'elf',
  task: 'underwater',
  variant: 'v2',
  crop: 256,
  sha256: await sha256(bytes),
  dtype: 'float16',
  license: 'MIT',
  data: [],
  scores: [],
};

test('is named after its digest and reads its weights when asked', async () => {
  let reads = 0;
  const model = createModelRef(manifest, async () => {
    reads++;
    return bytes;
  });
  expect([model.name, model.digest, reads]).toEqual(['underwater-full-v2-039058c6f2c0', manifest.sha256, 0]);
  expect(await model.bytes()).toEqual(bytes);
  expect(reads).toBe(1);
});

test('weights that changed are refused with both digests', async () => {
  const model = createModelRef(manifest, async () => Uint8Array.of(1, 2, 4));
  await expect(model.bytes()).rejects.toMatchObject({
    code: 'MODEL_DIGEST_MISMATCH',
    message: expect.stringMatching(/^The weights of underwater-full-v2-039058c6f2c0 .*instead of 039058c6f2c0…/),
    data: { expected: manifest.sha256 },
  });
});
