import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Classification, createRestorer as createBareRestorer, type PixelImage, type Progress } from '@elfin/core';
import { createNodeRuntime, createRestorer, loadSharpCodec } from '@elfin/core/node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { apart, colour, imageData, models, network, noise, serve } from '../helpers/pictures.ts';

const runtime = createNodeRuntime();
const restorer = createRestorer({ models, runtime });
const photo = noise(80, 56);
let png: Uint8Array;
let folder: string;

beforeAll(async () => {
  png = await (await loadSharpCodec()).encode(photo, { format: 'png' });
  folder = await mkdtemp(join(tmpdir(), 'elfin-sdk-'));
  await writeFile(join(folder, 'photo.png'), png);
  await restorer.warmup({ task: 'derain' });
});
afterAll(async () => {
  await restorer.dispose();
  await rm(folder, { recursive: true });
});

describe('inputs', () => {
  const kinds: Record<string, () => Parameters<typeof restorer.restore>[0]> = {
    bytes: () => png,
    'a Buffer': () => Buffer.from(png),
    'an ArrayBuffer': () => png.slice().buffer,
    'a Blob': () => new Blob([png as Uint8Array<ArrayBuffer>]),
    'a stream': () => new Blob([png as Uint8Array<ArrayBuffer>]).stream(),
    pixels: () => photo,
    'an ImageData': () => imageData(photo),
    'a path': () => join(folder, 'photo.png'),
    'a file URL': () => pathToFileURL(join(folder, 'photo.png')),
    'a file URL as text': () => pathToFileURL(join(folder, 'photo.png')).href,
  };
  test.each(Object.keys(kinds))('%s', async (kind) => {
    const { image, report } = await restorer.restore(kinds[kind]!(), { task: 'derain' });
    const expected = await network(photo);
    expect([image.width, image.height]).toEqual([80, 56]);
    expect(apart(colour(image), expected)).toBeLessThanOrEqual(1);
    expect(report).toMatchObject({ task: 'derain', tiling: 'whole', tiles: 1, backend: { provider: 'cpu' } });
  });

  test('an http URL', async () => {
    await using server = await serve((_, answer) => answer.end(png));
    const { image } = await restorer.restore(`${server.url}photo.png?x=1`, { task: 'derain' });
    expect(apart(colour(image), await network(photo))).toBeLessThanOrEqual(1);
  });
});

describe('result', () => {
  test('the report names model, digest and times', async () => {
    const { report, header, metadata } = await restorer.restore(png, { task: 'derain' });
    const { name, digest } = await models.resolve('derain', 'lw');
    expect(report).toMatchObject({ model: name, digest, passes: 0, runs: 1, halvings: 0 });
    for (const time of Object.values(report.timings)) expect(time).toBeGreaterThanOrEqual(0);
    expect(header).toMatchObject({ format: 'png', width: 80, height: 56 });
    expect(metadata).toEqual(expect.any(Object));
  });

  test('the full model is another one', async () => {
    const { report } = await restorer.restore(noise(16, 16), { task: 'derain', model: 'full' });
    expect(report).toMatchObject({ digest: (await models.resolve('derain', 'full')).digest });
  });

  test('the degradation is a picture at half resolution', async () => {
    const { degradation } = await restorer.restore(noise(33, 21), { task: 'derain' });
    const found = degradation();
    expect([found.width, found.height, found.channels]).toEqual([17, 11, 3]);
    expect(Math.max(...found.data)).toBeGreaterThan(0);
  });

  test.each([
    ['8 bits', 3, 8],
    ['8 bits with alpha', 4, 8],
    ['16 bits', 3, 16],
    ['16 bits with alpha', 4, 16],
  ] as const)('%s stay so; alpha is put back; at strength 0 every pixel stays', async (_, channels, depth) => {
    const source = noise(40, 24, channels, depth);
    const codec = await loadSharpCodec();
    const encoded = await codec.encode(source, { format: 'png' });
    const { image } = await restorer.restore(encoded, { task: 'derain' });
    expect(image.data.BYTES_PER_ELEMENT * 8).toBe(depth);
    expect(image.channels).toBe(channels);
    expect(image.data).not.toEqual(source.data);
    if (channels === 4)
      expect(image.data.filter((_, i) => i % 4 === 3)).toEqual(source.data.filter((_, i) => i % 4 === 3));
    const same = await restorer.restore(encoded, { task: 'derain', strength: 0 });
    expect(same.image.data).toEqual(source.data);
    const back = await codec.decode(await codec.encode(image, { format: 'tiff' }));
    expect(back.data).toEqual(image.data);
  });

  test('strength mixes result and source', async () => {
    const half = await restorer.restore(photo, { task: 'derain', strength: 0.5 });
    const full = await network(photo);
    const mixed = full.map((value, i) => (value + photo.data[i]!) / 2);
    expect(apart(half.image.data, mixed)).toBeLessThanOrEqual(1);
  });

  test('tiles: by mode and in detail', async () => {
    const wide = noise(208, 144);
    const local = await restorer.restore(wide, { task: 'derain', tiling: { mode: 'local', tile: 128, overlap: 32 } });
    expect(local.report).toMatchObject({ tiling: 'local', overlap: 32, window: { width: 128, height: 96 } });
    const tiling = { mode: 'global', tile: 128, overlap: 64, passes: 2 } as const;
    const global = await restorer.restore(wide, { task: 'derain', tiling });
    expect(global.report).toMatchObject({ tiling: 'global', passes: 2 });
    const whole = await restorer.restore(wide, { task: 'derain', tiling: 'whole' });
    expect(whole.report).toMatchObject({ tiling: 'whole', tiles: 1, window: { width: 208, height: 144 } });
    expect(apart(whole.image.data, await network(wide))).toBeLessThanOrEqual(1);
  });

  test('images down to one pixel', async () => {
    for (const [width, height] of [
      [1, 1],
      [1, 7],
      [17, 1],
    ] as const) {
      const { image } = await restorer.restore(noise(width, height), { task: 'derain' });
      expect([image.width, image.height]).toEqual([width, height]);
    }
  });
});

describe('progress', () => {
  test.each(['whole', 'local', 'global'] as const)('%s: from 0 to 1, never back, with all tiles told', async (mode) => {
    const told: Progress[] = [];
    const tiling = mode === 'whole' ? mode : ({ mode, tile: 64, overlap: 32 } as const);
    const { report } = await restorer.restore(noise(120, 90), {
      task: 'derain',
      tiling,
      onProgress: (progress) => told.push(progress),
    });
    expect(told[0]).toMatchObject({ phase: 'decode', fraction: 0 });
    expect(told.at(-1)).toMatchObject({ phase: 'restore', fraction: 1 });
    for (let i = 1; i < told.length; i++) expect(told[i]!.fraction).toBeGreaterThanOrEqual(told[i - 1]!.fraction);
    expect(told.filter(({ fraction }) => fraction === 1)).toHaveLength(1);
    expect(told.at(-1)!.tile).toBe(told.at(-1)!.tiles);
    expect(report).toMatchObject({ runs: told.at(-1)!.tiles });
  });
});

describe('auto', () => {
  test('without a classifier it says what to choose; in Node there is one', async () => {
    await using bare = createBareRestorer({ models, runtime });
    await expect(bare.restore(noise(48, 48), { task: 'auto' })).rejects.toMatchObject({
      code: 'OPTION_INVALID',
      message: expect.stringMatching(/derain, lowlight, underwater/),
    });
    const { report } = await restorer.restore(noise(64, 64), { task: 'auto', strength: 0 });
    expect(report.classification).toMatchObject({ confidence: expect.any(Number) });
  });

  test('the classifier sees a thumbnail and decides; what needs nothing stays as it is', async () => {
    const seen: PixelImage[] = [];
    const answer: Classification = { task: 'lowlight', confidence: 0.9 };
    const answers = [answer, { task: 'none', confidence: 0.8 } as const];
    const classify = (thumbnail: PixelImage) => {
      seen.push(thumbnail);
      return answers.shift()!;
    };
    await using asking = createRestorer({ models, runtime, classify });
    const source = noise(600, 30, 4);
    const dark = await asking.restore(source, { task: 'auto', tiling: 'local' });
    expect(dark.report).toMatchObject({ task: 'lowlight', classification: answer });
    const told: number[] = [];
    const clean = await asking.restore(source, { task: 'auto', onProgress: ({ fraction }) => told.push(fraction) });
    expect(clean.report).toMatchObject({ task: 'none', classification: { confidence: 0.8 } });
    expect(clean.image.data).toEqual(source.data);
    expect(told).toEqual([0, 1]);
    expect(seen.map(({ width, height, channels }) => [width, height, channels])).toEqual([
      [512, 26, 3],
      [512, 26, 3],
    ]);
  });
});
