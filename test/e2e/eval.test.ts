import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { PixelImage } from '@elfin/core';
import { psnr, ssim } from '@elfin/core/metrics';
import { loadSharpCodec } from '@elfin/core/node';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { elfin } from '../helpers/cli.ts';
import { noise } from '../helpers/pictures.ts';

const codec = await loadSharpCodec();
let folder: string;
let inputs: string;
let targets: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'elfin-eval-'));
  [inputs, targets] = [join(folder, 'inputs'), join(folder, 'targets')];
});
afterEach(() => rm(folder, { recursive: true }));

async function put(path: string, image: PixelImage): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, await codec.encode(image, { format: 'png' }));
}

const measure = (...flags: string[]) => elfin(['eval', '--input', inputs, '--target', targets, ...flags]);

test('elfin eval prints what the metrics say, before and after restoring', async () => {
  const [a, b] = [noise(64, 48, 3, 8, 1), noise(64, 48, 3, 8, 2)];
  await put(join(inputs, 'photo.png'), a);
  await put(join(targets, 'photo.png'), b);
  const plain = await measure('--json');
  const scores = { psnr: psnr(a, b), ssim: ssim(a, b) };
  expect(JSON.parse(plain.stdout.toString())).toEqual({ mean: scores, images: [{ name: 'photo', scores }] });
  const restored = await measure('--task', 'derain', '--precision', 'float16', '--json');
  expect(JSON.parse(restored.stdout.toString())).toMatchObject({
    input: scores,
    precision: 'float16',
    images: [{ input: scores }],
  });
});

test('photos of one name in several folders are each measured against their own truth', async () => {
  const pictures = [1, 2, 3, 4].map((seed) => noise(32, 32, 3, 8, seed)) as [PixelImage, ...PixelImage[]];
  const [a, b, trueA, trueB] = pictures as [PixelImage, PixelImage, PixelImage, PixelImage];
  await put(join(inputs, 'a', '1.png'), a);
  await put(join(inputs, 'b', '1.png'), b);
  await put(join(targets, 'a', '1.png'), trueA);
  await put(join(targets, 'b', '1.png'), trueB);
  const { stdout } = await measure('--json');
  expect(JSON.parse(stdout.toString()).images).toEqual([
    { name: 'a/1', scores: { psnr: psnr(a, trueA), ssim: ssim(a, trueA) } },
    { name: 'b/1', scores: { psnr: psnr(b, trueB), ssim: ssim(b, trueB) } },
  ]);
  await rm(join(targets, 'a'), { recursive: true });
  await rm(join(targets, 'b'), { recursive: true });
  await put(join(targets, '1.png'), trueA);
  expect(await measure()).toMatchObject({
    code: 2,
    stdout: Buffer.alloc(0),
    stderr: expect.stringMatching(/^elfin: [^\n]+ would both be measured against [^\n]+ \[OPTION_INVALID\]\n$/),
  });
});

test('equal pictures: an infinite PSNR is null for programs, and counts in the mean where all are equal', async () => {
  const [a, b] = [noise(32, 32, 3, 8, 1), noise(32, 32, 3, 8, 2)];
  await put(join(inputs, 'equal.png'), a);
  await put(join(targets, 'equal.png'), a);
  await put(join(inputs, 'other.png'), b);
  await put(join(targets, 'other.png'), a);
  const { mean, images } = JSON.parse((await measure('--json')).stdout.toString());
  expect(images[0]).toEqual({ name: 'equal', scores: { psnr: null, ssim: 1 } });
  expect(images[1].scores.psnr).toBe(psnr(b, a));
  expect(mean).toEqual({ psnr: psnr(b, a), ssim: (1 + ssim(b, a)) / 2 });
  await rm(join(inputs, 'other.png'));
  expect(JSON.parse((await measure('--json')).stdout.toString()).mean).toEqual({ psnr: null, ssim: 1 });
  expect((await measure()).stdout.toString()).toBe(
    ['image  psnr    ssim', 'equal     ∞  1.0000', 'mean      ∞  1.0000', ''].join('\n'),
  );
});

test('comparisons beside the results are no pictures to be measured', async () => {
  const [a, b] = [noise(32, 32, 3, 8, 1), noise(32, 32, 3, 8, 2)];
  await put(join(inputs, 'photo.png'), a);
  await put(join(targets, 'photo.png'), b);
  await writeFile(join(inputs, 'photo.compare.jpg'), await codec.encode(a, { format: 'jpeg' }));
  await put(join(inputs, 'photo.map.png'), a);
  const { code, stdout } = await measure('--json');
  expect(code).toBe(0);
  expect(JSON.parse(stdout.toString()).images).toEqual([
    { name: 'photo', scores: { psnr: psnr(a, b), ssim: ssim(a, b) } },
  ]);
});

test('low light is measured on RGB; what says how to restore wants a task', async () => {
  const [a, b] = [noise(32, 32, 3, 8, 1), noise(32, 32, 3, 8, 2)];
  await put(join(inputs, 'photo.png'), a);
  await put(join(targets, 'photo.png'), b);
  const { stdout } = await measure('--task', 'lowlight', '--json');
  expect(JSON.parse(stdout.toString()).input).toEqual({ psnr: psnr(a, b, 'rgb'), ssim: ssim(a, b, 'rgb') });
  for (const flags of [
    ['--tiling', 'local'],
    ['--model', 'full'],
    ['--passes', '2'],
  ])
    expect(await measure(...flags)).toMatchObject({ code: 2, stderr: expect.stringContaining('--task') });
});
