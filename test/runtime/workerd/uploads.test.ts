import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { assertConditionalWrites } from '@elfin/plugins';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startNegativeWorker } from '../../helpers/elfin-worker.ts';
import { keysUnder } from '../../helpers/keys-under.ts';
import { assertRestored, smallPhoto } from '../../helpers/photos.ts';
import { awkwardKeys, inLanes, seeded, shuffle } from '../../helpers/storm.ts';
import { bytesAt } from '../../helpers/upload.ts';
import { startUploads, type UploadsRuntime } from './uploads-runtime.ts';

const PHOTOS = 200;
const TOKEN = 'a-token-of-this-test';
const BUCKET = 'elfin-photos';
/** Claims of the dead run out soon, so that the test need not wait for two minutes. */
const CLAIM_SECONDS = 2;
const CLAIMS = { ELFIN_CLAIM_SECONDS: String(CLAIM_SECONDS) };

let folder: string;
let worker: Awaited<ReturnType<typeof startNegativeWorker>>;
let runtime: UploadsRuntime;

beforeAll(async () => {
  // As `wrangler deploy` does it: see [build] in uploads.toml.
  const repository = fileURLToPath(new URL('../../../', import.meta.url));
  const build = ['--conditions=@elfin/source', 'apps/cloudflare/build.ts', 'uploads'];
  await promisify(execFile)(process.execPath, build, { cwd: repository });
});
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'elfin-r2-'));
  worker = await startNegativeWorker(TOKEN);
});
afterEach(async () => {
  await runtime.kill();
  await worker.stop();
  await rm(folder, { recursive: true, force: true });
});

/** The Worker, restoring through a worker. */
const start = async (vars: Readonly<Record<string, string>> = {}) => {
  runtime = await startUploads(folder, { ELFIN_WORKERS: worker.url, ELFIN_WORKER_TOKEN: TOKEN, ...vars });
};

/** What R2 sends for an object. */
const notification = (key: string, eTag: string, size: number) => ({
  account: 'a',
  action: 'PutObject',
  bucket: BUCKET,
  object: { key, size, eTag },
  eventTime: new Date().toISOString(),
});

async function uploadAll(keys: readonly string[]) {
  const sources = new Map<string, Buffer>();
  const messages: object[] = [];
  await inLanes([...keys.entries()], 10, async ([index, key]) => {
    const bytes = await smallPhoto(index, key);
    const put = await runtime.photos.put(key, bytes, { type: 'image/jpeg', metadata: { camera: 'test' } });
    sources.set(key, bytes);
    messages.push(notification(key, (put as { etag: string }).etag, bytes.length));
  });
  return { sources, messages };
}

const results = () => keysUnder(runtime.photos, 'restored/');
const claims = () => keysUnder(runtime.photos, '.elfin/claims/');

/** Each source has one whole result and an alias of the same bytes; no claim is left. The worker makes so many `images`. */
async function checkAll(sources: ReadonlyMap<string, Buffer>, images = sources.size) {
  // workerd takes seconds to list a bucket while it works; to count costs it nothing.
  await expect.poll(worker.images, { timeout: 400_000, interval: 100 }).toBeGreaterThanOrEqual(images);
  await expect.poll(async () => (await results()).length, { timeout: 400_000, interval: 1000 }).toBe(sources.size);
  await expect.poll(claims, { timeout: 120_000, interval: 1000 }).toEqual(['.elfin/claims/keep.json']);
  const all = await results();
  expect(all).toHaveLength(sources.size);
  await inLanes([...sources], 10, async ([key, source]) => {
    const mine = all.filter((result) => result.startsWith(`restored/${key}/`));
    expect(mine, key).toHaveLength(1);
    const bytes = await bytesAt(runtime.photos, mine[0]!);
    await assertRestored(bytes, key, source);
    expect((await bytesAt(runtime.photos, `latest/${key}`)).equals(bytes), `the alias of ${key}`).toBe(true);
  });
  const [[key, source] = ['', Buffer.alloc(0)]] = sources;
  const result = all.find((name) => name.startsWith(`restored/${key}/`));
  expect((await runtime.photos.head(result ?? ''))?.metadata).toMatchObject({ camera: 'test' });
  expect((await bytesAt(runtime.photos, key)).equals(source)).toBe(true);
}

describe('the Worker of uploads.toml, with R2 and Queues in workerd', () => {
  it(`restores each of ${PHOTOS} uploads exactly once, each told one to three times, shuffled`, async () => {
    await start();
    await assertConditionalWrites(runtime.photos, 'probe/');
    const random = seeded(3);
    const { sources, messages } = await uploadAll(awkwardKeys(PHOTOS));
    const told = messages.flatMap((message) => Array.from({ length: 1 + Math.floor(random() * 3) }, () => message));
    expect(told.length).toBeGreaterThan(PHOTOS);
    await runtime.send(shuffle(told, random));
    await checkAll(sources);
    expect(worker.images()).toBe(PHOTOS);
    expect(await runtime.dead()).toEqual([]);
  }, 500_000);

  it('leaves one result each although workerd is killed on the way', async () => {
    const keys = awkwardKeys(40);
    await start(CLAIMS);
    const { sources, messages } = await uploadAll(keys);
    for (let kill = 1; kill <= 3; kill++) {
      await runtime.send(messages);
      await expect.poll(worker.images, { timeout: 120_000, interval: 10 }).toBeGreaterThanOrEqual(kill * 8);
      await runtime.kill();
      await start(CLAIMS);
    }
    // The local queue dies with its runtime, unlike Cloudflare's: everything is told once more.
    await sleep(CLAIM_SECONDS * 1000 + 100);
    await runtime.send(messages);
    await checkAll(sources);
    // At most what two batches of ten had in hand at each death.
    expect(worker.images()).toBeLessThanOrEqual(40 + 3 * 20);
  }, 500_000);

  it('gives what nobody can read to the dead letters, and what is no image to quarantine', async () => {
    await start();
    const put = await runtime.photos.put('incoming/bad.jpg', new TextEncoder().encode('no image at all'), {});
    await runtime.send([{ what: 'is this' }, notification('incoming/bad.jpg', (put as { etag: string }).etag, 15)]);
    await expect.poll(runtime.dead, { timeout: 120_000, interval: 200 }).toEqual(['{"what":"is this"}']);
    const quarantined = () => keysUnder(runtime.photos, '.elfin/quarantine/');
    await expect.poll(quarantined, { timeout: 30_000, interval: 200 }).toHaveLength(1);
    const entry = JSON.parse((await bytesAt(runtime.photos, (await quarantined())[0]!)).toString());
    expect(entry).toMatchObject({ key: 'incoming/bad.jpg', code: expect.stringMatching(/^IMAGE_/) });
    expect(await results()).toEqual([]);
  });

  it('without workers restores small images in the isolate, and gives larger ones up', async () => {
    runtime = await startUploads(folder, {});
    const { sources, messages } = await uploadAll(['incoming/a.jpg', 'incoming/b.png', 'incoming/c.webp']);
    const large = await smallPhoto(9, 'incoming/large.jpg', { width: 300, height: 220 });
    const put = await runtime.photos.put('incoming/large.jpg', large, { type: 'image/jpeg' });
    const big = notification('incoming/large.jpg', (put as { etag: string }).etag, large.length);
    await runtime.send([...messages, big]);
    await expect.poll(runtime.dead, { timeout: 120_000, interval: 200 }).toHaveLength(1);
    expect(JSON.parse((await runtime.dead())[0]!)).toMatchObject({ object: { key: 'incoming/large.jpg' } });
    await checkAll(sources, 0);
    expect(worker.images()).toBe(0);
  }, 500_000);
});
