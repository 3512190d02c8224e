import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadSharpCodec } from '@elfin/core/node';
import { createSigner, parseTransform, parseUrlKeys } from '@elfin/edge';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ElfinProcess, startElfin } from '../helpers/elfin-process.ts';
import { startWranglerDev, type WranglerDev } from '../helpers/wrangler.ts';

const keys = `k1:${'0a'.repeat(32)}`;
const signer = createSigner({ keys: parseUrlKeys(keys) });
let worker: ElfinProcess;
let dev: WranglerDev;

beforeAll(async () => {
  const photo = sharp(await readFile(new URL('../../packages/cli/assets/rainy.jpg', import.meta.url)));
  const sized = (width: number, height: number) =>
    photo.clone().resize(width, height, { fit: 'cover' }).jpeg({ quality: 90 }).toBuffer();
  worker = await startElfin(['worker', '--port', '0', '--device', 'cpu'], { ELFIN_WORKER_TOKEN: 'test' });
  dev = await startWranglerDev({
    vars: {
      ELFIN_URL_KEYS: keys,
      ELFIN_WORKERS: worker.url,
      ELFIN_WORKER_TOKEN: 'test',
      ELFIN_WORKER_TIMEOUT_MS: '1200000',
    },
    photos: {
      'small.jpg': await sized(96, 64),
      'tile.jpg': await sized(256, 256),
      'large.jpg': await sized(4000, 3000),
    },
  });
});
afterAll(() => Promise.all([dev?.stop(), worker?.stop()]));

async function get(options: string, name: string) {
  const source = encodeURIComponent(`r2://PHOTOS/${name}`);
  return fetch(dev.url + (await signer.sign(parseTransform(`${options}/${source}`))));
}

test('the Worker of the root wrangler.toml restores a small image in its isolate', async () => {
  const response = await get('restore=derain,format=png,pending=wait', 'small.jpg');
  const info = response.headers.get('elfin-info');
  expect([response.status, response.headers.get('restore-status'), info]).toEqual([
    200,
    'restored',
    expect.stringMatching(/odim=96x64 ofmt=png rt=derain-lw-\S+ tiles=1 by=local cache=miss$/),
  ]);
  const made = await (await loadSharpCodec()).decode(new Uint8Array(await response.arrayBuffer()));
  expect([made.width, made.height]).toEqual([96, 64]);
  expect((await get('restore=derain,format=png', 'small.jpg')).headers.get('elfin-info')).toContain('cache=hit');
});

test('every task, one after another in one isolate, at the largest size that it takes', async () => {
  for (const task of ['derain', 'lowlight', 'underwater', 'derain']) {
    const response = await get(`restore=${task},format=${task === 'derain' ? 'png' : 'jpeg'},pending=wait`, 'tile.jpg');
    const info = response.headers.get('elfin-info');
    await response.arrayBuffer();
    expect([response.status, info]).toEqual([
      200,
      expect.stringMatching(new RegExp(`rt=${task}-lw-\\S+ tiles=1 by=local`)),
    ]);
  }
});

test('and one of 12 megapixels through a worker, by way of the queue, with an interim answer meanwhile', async () => {
  const first = await get('restore=derain,format=jpeg', 'large.jpg');
  expect([first.status, first.headers.get('cache-control'), first.headers.get('is-intermediate-response')]).toEqual([
    200,
    'no-store',
    'true',
  ]);
  await first.arrayBuffer();
  for (;;) {
    const response = await get('restore=derain,format=jpeg', 'large.jpg');
    const bytes = new Uint8Array(await response.arrayBuffer());
    const state = response.headers.get('restore-status');
    if (state?.startsWith('pending')) {
      await sleep(5_000);
      continue;
    }
    expect([response.status, state]).toEqual([200, 'restored']);
    expect(response.headers.get('elfin-info')).toMatch(/odim=4000x3000 .*by=worker/);
    expect((await sharp(bytes).metadata()).format).toBe('jpeg');
    return;
  }
}, 1_500_000);
