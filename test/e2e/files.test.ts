import { writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { OutputFormat, PixelImage } from '@elfin/core';
import { createRestorer, loadSharpCodec } from '@elfin/core/node';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { models, noise } from '../helpers/pictures.ts';

const restorer = createRestorer({ models });
let folder: string;
let input: string;
let output: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'elfin-files-'));
  input = join(folder, 'photo.png');
  await writeFile(input, await encoded(noise(80, 56), 'png'));
  await restorer.warmup({ task: 'derain' });
});
beforeEach(async () => {
  output = join(await mkdtemp(join(folder, 'out-')), 'result.png');
});
afterAll(async () => {
  await restorer.dispose();
  await rm(folder, { recursive: true });
});

describe('restoreFile', () => {
  test('writes what restore gives', async () => {
    const { report, header, format } = await restorer.restoreFile(input, output, { task: 'derain' });
    const { image } = await restorer.restore(input, { task: 'derain' });
    expect(await pixels(output)).toEqual(image.data);
    expect([header.format, format]).toEqual(['png', 'png']);
    expect(report).toMatchObject({ task: 'derain', tiling: 'whole', timings: { encode: expect.any(Number) } });
  });

  test.each([
    ['8 bits with alpha', 4, 8],
    ['16 bits', 3, 16],
    ['16 bits with alpha', 4, 16],
  ] as const)('%s, tiled: the same as in memory', async (_, channels, depth) => {
    const bytes = await encoded(noise(150, 70, channels, depth), 'png');
    const options = { task: 'derain', tiling: { mode: 'global', tile: 128, overlap: 64 } } as const;
    await restorer.restoreFile(bytes, output, options);
    const { image, degradation } = await restorer.restore(bytes, options);
    expect(await pixels(output)).toEqual(image.data);
    const again = await restorer.restoreEncoded(bytes, options);
    expect(again.degradation().data).toEqual(degradation().data);
  });

  test.each(['jpg', 'webp', 'tiff', 'avif'])('the extension .%s decides the format', async (extension) => {
    const path = output.replace('png', extension);
    const { format } = await restorer.restoreFile(input, path, { task: 'derain' });
    const codec = await loadSharpCodec();
    expect((await codec.probe(await readFile(path))).format).toBe(format);
  });

  test('nothing is overwritten unless that is asked for', async () => {
    await writeFile(output, 'mine');
    const work = restorer.restoreFile(input, output, { task: 'derain' });
    await expect(work).rejects.toMatchObject({ code: 'OUTPUT_EXISTS' });
    expect(await readFile(output, 'utf8')).toBe('mine');
    await restorer.restoreFile(input, output, { task: 'derain', force: true });
    expect((await pixels(output)).length).toBe(80 * 56 * 3);
  });

  test('a file that another program puts there meanwhile stays', async () => {
    const work = restorer.restoreFile(input, output, {
      task: 'derain',
      onProgress: ({ fraction }) => {
        if (fraction === 1) writeFileSync(output, 'theirs');
      },
    });
    await expect(work).rejects.toMatchObject({ code: 'OUTPUT_EXISTS' });
    expect(await readFile(output, 'utf8')).toBe('theirs');
    expect(await readdir(join(output, '..'))).toEqual(['result.png']);
  });

  test('places that cannot be written are refused before any work', async () => {
    const told: unknown[] = [];
    const onProgress = (progress: unknown) => told.push(progress);
    const refused = async (path: string, code: string) =>
      expect(restorer.restoreFile(input, path, { task: 'derain', onProgress })).rejects.toMatchObject({ code });
    await mkdir(output);
    await refused(output, 'OUTPUT_UNWRITABLE');
    await refused(join(folder, 'none', 'result.png'), 'OUTPUT_UNWRITABLE');
    await refused(join(input, 'result.png'), 'OUTPUT_UNWRITABLE');
    await refused(join(folder, 'result.xyz'), 'OPTION_INVALID');
    expect(told).toEqual([]);
  });

  test('an abort leaves neither output nor temporary files', async () => {
    const controller = new AbortController();
    const directory = await mkdtemp(join(folder, 'temporary-'));
    const seen: string[][] = [];
    const work = restorer.restoreFile(await encoded(noise(200, 200), 'png'), output, {
      task: 'derain',
      directory,
      tiling: { mode: 'local', tile: 64, overlap: 32 },
      signal: controller.signal,
      onProgress: ({ tile }) => {
        if (tile === 1) void readdir(directory).then((names) => controller.abort(seen.push(names)));
      },
    });
    await expect(work).rejects.toMatchObject({ code: 'ABORTED' });
    expect(seen[0]!.length).toBeGreaterThan(0);
    expect(await readdir(directory)).toEqual([]);
    expect(await readdir(join(output, '..'))).toEqual([]);
  });

  test('bad input leaves no output', async () => {
    const bytes = await readFile(input);
    for (const bad of [bytes.subarray(0, 200), Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>')]) {
      const work = restorer.restoreFile(bad, output, { task: 'derain' });
      await expect(work).rejects.toMatchObject({ code: expect.stringMatching(/^IMAGE_/) });
    }
    expect(await readdir(join(output, '..'))).toEqual([]);
  });
});

test('restoreEncoded keeps the format, and takes no pixels', async () => {
  const { bytes, format } = await restorer.restoreEncoded(await encoded(noise(32, 32), 'webp'), { task: 'derain' });
  expect(format).toBe('webp');
  expect((await (await loadSharpCodec()).probe(bytes)).format).toBe('webp');
  const work = restorer.restoreEncoded(noise(8, 8) as unknown as Uint8Array, { task: 'derain' });
  await expect(work).rejects.toMatchObject({ code: 'OPTION_INVALID' });
});

async function encoded(image: PixelImage, format: OutputFormat): Promise<Uint8Array> {
  return (await loadSharpCodec()).encode(image, { format });
}

async function pixels(path: string): Promise<PixelImage['data']> {
  return (await (await loadSharpCodec()).decode(await readFile(path))).data;
}
