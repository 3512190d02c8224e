import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeInference, encodeInference, type PixelImage, type Progress, type TilePreview } from '@elfin/core';
import { createNodeRuntime, createRestorer, loadSharpCodec } from '@elfin/core/node';
import { createModels } from '@elfin/models/node';
import { afterAll, expect, test } from 'vitest';
import { noise } from '../helpers/pictures.ts';

const restorer = createRestorer({ models: createModels(), runtime: createNodeRuntime({ device: 'cpu' }) });
afterAll(() => restorer.dispose());

/** A smooth picture with some grain: what is enlarged must not look like what was there. */
function photo(width: number, height: number, channels: 3 | 4 = 3, depth: 8 | 16 = 8): PixelImage {
  const image = noise(width, height, channels, depth);
  const full = 2 ** depth - 1;
  image.data.forEach((value, i) => {
    const x = Math.floor(i / channels) % width;
    image.data[i] = full * (0.15 + (0.5 * x) / width) + 0.1 * value;
  });
  return image;
}

test.each([
  ['at its own size', photo(150, 100), 'full'],
  ['shrunk', photo(150, 100), 64],
  ['shrunk, 16 bits', photo(150, 101, 3, 16), 64],
  ['shrunk, with alpha', photo(131, 90, 4), 70],
] as const)(
  '%s: to infer and to apply is to restore, and an inference may be kept as bytes',
  async (_, image, resolution) => {
    const options = { task: 'derain', resolution } as const;
    const whole = await restorer.restore(image, { ...options, strength: 0.7 });
    expect(whole.report).toMatchObject({ resolution: { reason: expect.stringMatching(/as asked/) } });
    expect(whole.image).toMatchObject({ width: image.width, height: image.height, channels: image.channels });
    const inference = decodeInference(encodeInference(await restorer.infer(image, options)));
    const again = await restorer.apply(inference, image, { strength: 0.7 });
    expect(again.image.data).toEqual(whole.image.data);
    expect((await restorer.apply(inference, image, { strength: 0 })).image.data).toEqual(image.data);
    expect((await restorer.apply(inference, image)).image.data).toEqual(
      (await restorer.restore(image, options)).image.data,
    );
  },
);

test('a picture of the size of training comes out as it does at full size, and the report says why', async () => {
  const image = photo(160, 96);
  const auto = await restorer.restore(image, { task: 'derain' });
  expect(auto.image).toEqual((await restorer.restore(image, { task: 'derain', resolution: 'full' })).image);
  expect(auto.report).toMatchObject({
    resolution: { width: 160, height: 96, reason: expect.stringMatching(/^full size: /) },
  });
});

test('files and pixels give the same, in every way of tiling; progress ends at 1, previews lie in the picture', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'elfin-size-'));
  try {
    const image = photo(400, 300);
    const png = await (await loadSharpCodec()).encode(image, { format: 'png' });
    for (const mode of ['local', 'global', 'whole'] as const) {
      const steps: Progress[] = [];
      const previews: TilePreview[] = [];
      const options = {
        task: 'derain',
        resolution: 150,
        tiling: { mode, tile: mode === 'whole' ? undefined : 128 },
      } as const;
      const { image: result, degradation } = await restorer.restore(png, {
        ...options,
        onProgress: (step) => steps.push(step),
        onTile: (tile) => previews.push(tile),
      });
      const fractions = steps.map(({ fraction }) => fraction);
      expect(fractions).toEqual(fractions.toSorted((a, b) => a - b));
      expect(fractions.at(-1)).toBe(1);
      expect(Math.max(...previews.map(({ x, width }) => x + width))).toBe(400);
      expect(Math.max(...previews.map(({ y, height }) => y + height))).toBe(300);
      expect(degradation()).toMatchObject({ width: 200, height: 150 });
      const path = join(folder, `${mode}.png`);
      const file = await restorer.restoreFile(png, path, options);
      expect(file.report).toMatchObject({ tiling: mode, resolution: { width: 200, height: 150 } });
      const { data } = await (await loadSharpCodec()).decode(new Uint8Array(await readFile(path)));
      expect(data).toEqual(result.data);
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});

test.each([
  [{ task: 'derain', resolution: 101 }, /^resolution must be at most 100, the short side of this picture, not 101/],
  [{ task: 'derain', resolution: 63 }, /^resolution must be auto or full or a whole number from 64 to 8192, not 63\.$/],
  [
    { task: 'derain', resolution: 'half' },
    /^resolution must be auto or full or a whole number from 64 to 8192, not "half"\.$/,
  ],
  [{ task: 'derain', exposure: 1 }, /^exposure must be 0 for derain \(it is for lowlight\), not 1\.$/],
  [{ task: 'lowlight', exposure: 3 }, /^exposure must be a number from -2 to 2, not 3\.$/],
])('%j is refused in one line', async (options, message) => {
  await expect(restorer.restore(photo(150, 100), options as never)).rejects.toMatchObject({
    code: 'OPTION_INVALID',
    message: expect.stringMatching(message),
  });
});

test('exposure makes a dark picture brighter or darker than the model would, and costs no other run', async () => {
  const image = photo(96, 64);
  image.data.forEach((value, i) => {
    image.data[i] = value / 6;
  });
  const inference = await restorer.infer(image, { task: 'lowlight' });
  const mean = async (exposure: number) => {
    const { image: result } = await restorer.apply(inference, image, { exposure });
    return Array.from(result.data).reduce((sum, value) => sum + value, 0) / result.data.length;
  };
  const means = await Promise.all([-2, -1, 0, 1, 2].map(mean));
  expect(means).toEqual(means.toSorted((a, b) => a - b));
  expect(means[3]! - means[2]!).toBeGreaterThan(10);
  const direct = await restorer.restore(image, { task: 'lowlight', exposure: 1 });
  expect(direct.image.data).toEqual((await restorer.apply(inference, image, { exposure: 1 })).image.data);
  await expect(restorer.apply(inference, photo(64, 96))).rejects.toMatchObject({ code: 'OPTION_INVALID' });
});
