import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ObjectStore } from '@elfin/core';
import { assertConditionalWrites } from '@elfin/plugins';
import { createR2Storage, type R2BucketLike } from '@elfin/plugins/cloudflare';
import { build } from 'esbuild';
import { convertV4MiniflareOptions, Miniflare } from 'miniflare';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { awkwardKeys, inLanes, seeded, shuffle } from '../../helpers/storm.ts';
import { contentOf } from '../../helpers/upload.ts';

const PHOTOS = 200;
let script: string;
let folder: string;
let mf: Miniflare;

beforeAll(async () => {
  const bundle = await build({
    entryPoints: [new URL('./upload-worker.ts', import.meta.url).pathname],
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2022',
    conditions: ['@elfin/source', 'workerd', 'worker', 'browser'],
  });
  script = bundle.outputFiles[0]!.text;
});
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'elfin-r2-'));
  mf = start(0);
});
afterEach(async () => {
  await mf.dispose();
  await rm(folder, { recursive: true, force: true });
});

/** A Worker over buckets that outlive it. */
const start = (delay: number) =>
  new Miniflare({
    ...convertV4MiniflareOptions({
      modules: true,
      script,
      compatibilityDate: '2026-08-04',
      bindings: { DELAY: delay },
      r2Buckets: ['PHOTOS', 'LOG'],
      queueProducers: { UPLOADS: 'uploads' },
      queueConsumers: {
        uploads: { maxBatchSize: 10, maxBatchTimeout: 0, maxRetries: 5, deadLetterQueue: 'dead' },
        dead: { maxBatchSize: 10, maxBatchTimeout: 0 },
      },
    }),
    resourcePersistencePath: folder,
  });

const bucketOf = async (name: 'PHOTOS' | 'LOG') => (await mf.getR2Bucket(name)) as unknown as R2BucketLike;
const photos = async () => createR2Storage(await bucketOf('PHOTOS'));

async function keysUnder(store: ObjectStore, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for (let cursor: string | undefined, more = true; more; more = cursor !== undefined) {
    const page = await store.list(prefix, cursor);
    keys.push(...page.objects.map(({ key }) => key));
    cursor = page.cursor;
  }
  return keys;
}
const logged = async (prefix: string) => keysUnder(createR2Storage(await bucketOf('LOG')), prefix);

/** What R2 would send for each upload. */
async function uploadAll(keys: readonly string[]) {
  const store = await photos();
  const messages: object[] = [];
  await inLanes([...keys.entries()], 10, async ([index, key]) => {
    const put = await store.put(key, new TextEncoder().encode(`photo ${index}`), { type: 'image/jpeg' });
    if (typeof put === 'string') throw new Error(put);
    const object = { key, size: 10, eTag: put.etag };
    messages.push({ account: 'a', action: 'PutObject', bucket: 'photos', object, eventTime: new Date().toISOString() });
  });
  return messages;
}

async function send(messages: readonly object[]) {
  const queue = await mf.getQueueProducer('UPLOADS');
  for (let i = 0; i < messages.length; i += 50)
    await queue.sendBatch(messages.slice(i, i + 50).map((body) => ({ body })));
}

async function results() {
  const store = await photos();
  return keysUnder(store, 'restored/');
}

async function checkAll(keys: readonly string[]) {
  const store = await photos();
  const all = await results();
  expect(all).toHaveLength(keys.length);
  await inLanes([...keys.entries()], 10, async ([index, key]) => {
    const mine = all.filter((result) => result.startsWith(`restored/${key}/`));
    expect(mine, key).toHaveLength(1);
    expect(await contentOf(store, mine[0]!)).toMatch(new RegExp(`^restored (jpeg|png|webp): photo ${index}$`));
    expect(await contentOf(store, `latest/${key}`)).toMatch(new RegExp(`: photo ${index}$`));
  });
  const claims = await keysUnder(store, '.elfin/claims/');
  expect(claims).toEqual(['.elfin/claims/keep.json']);
}

describe('R2 and Queues', () => {
  it('keep their word on conditional writes', async () => {
    await assertConditionalWrites(await photos(), 'probe/');
  });

  it('restore each of 200 uploads exactly once, each told one to three times, shuffled', async () => {
    const keys = awkwardKeys(PHOTOS);
    const random = seeded(3);
    const messages = await uploadAll(keys);
    await send(
      shuffle(
        messages.flatMap((message) => Array.from({ length: 1 + Math.floor(random() * 3) }, () => message)),
        random,
      ),
    );
    await expect.poll(async () => (await results()).length, { timeout: 120_000, interval: 500 }).toBe(PHOTOS);
    await expect
      .poll(async () => (await keysUnder(await photos(), '.elfin/claims/')).length, { timeout: 30_000 })
      .toBe(1);
    await checkAll(keys);
    expect(await logged('inference/')).toHaveLength(PHOTOS);
  }, 240_000);

  it('end with one result each although the Worker is killed on the way', async () => {
    const keys = awkwardKeys(60);
    await mf.dispose();
    mf = start(50);
    const messages = await uploadAll(keys);
    for (let kill = 1; kill <= 3; kill++) {
      await send(messages);
      await expect
        .poll(async () => (await logged('inference/')).length, { timeout: 30_000, interval: 20 })
        .toBeGreaterThanOrEqual(kill * 12);
      await mf.dispose();
      mf = start(50);
    }
    // Miniflare's queue dies with the Worker, unlike Cloudflare's: everything is told once more.
    await new Promise((resolve) => setTimeout(resolve, 2100));
    await send(messages);
    await expect.poll(async () => (await results()).length, { timeout: 60_000, interval: 200 }).toBe(60);
    await expect
      .poll(async () => (await keysUnder(await photos(), '.elfin/claims/')).length, { timeout: 30_000 })
      .toBe(1);
    await checkAll(keys);
    const repeated = (await logged('inference/')).length - 60;
    expect(repeated).toBeLessThanOrEqual(3 * 10);
  }, 240_000);

  it('send what cannot be read to the dead letters, and what is no image to quarantine', async () => {
    const store = await photos();
    const put = await store.put('incoming/bad.jpg', new TextEncoder().encode('POISON'), {});
    await send([
      { what: 'is this' },
      {
        account: 'a',
        action: 'PutObject',
        bucket: 'photos',
        object: { key: 'incoming/bad.jpg', eTag: (put as { etag: string }).etag },
      },
    ]);
    await expect.poll(() => logged('dead/'), { timeout: 30_000, interval: 200 }).toHaveLength(1);
    await expect.poll(() => keysUnder(store, '.elfin/quarantine/'), { timeout: 10_000 }).toHaveLength(1);
    expect(await results()).toEqual([]);
  });
});
