import { mkdtemp, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { S3Client } from '@aws-sdk/client-s3';
import { createMemoryStore, createS3Store, type ObjectStore } from '@elfin/storage';
import { createClientStore } from '@elfin/storage/aws';
import { createFolderStore } from '@elfin/storage/node';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { storeConformance, textOf } from '../../../test/conformance/store.ts';
import { startS3 } from '../../../test/helpers/s3-server.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const credentials = { accessKeyId: 'id', secretAccessKey: 'secret' };

let folder = '';
const s3 = await startS3();
const client = new S3Client({ endpoint: s3.endpoint, region: 'us-east-1', forcePathStyle: true, credentials });
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'elfin-store-'));
  s3.objects.clear();
});
afterEach(() => rm(folder, { recursive: true, force: true }));
afterAll(() => s3.close());

const stores: Record<string, () => ObjectStore> = {
  memory: () => createMemoryStore(),
  folder: () => createFolderStore({ root: folder }),
  s3: () => createS3Store({ endpoint: s3.endpoint, bucket: 'results', prefix: 'elfin/', credentials }),
  'an AWS client’s': () => createClientStore({ client, bucket: 'results' }),
};

describe.each(Object.entries(stores))('%s store', (_, create) => storeConformance(create));

describe('memory and folder stores have a size', () => {
  test('memory: the least recently used leaves', async () => {
    const store = createMemoryStore({ maxBytes: 10_000 });
    for (const key of ['a', 'b', 'c']) await store.put(key, new Uint8Array(2500));
    await store.get('a');
    await store.put('d', new Uint8Array(2500));
    expect((await store.list('')).objects.map(({ key }) => key)).toEqual(['a', 'c', 'd']);
    await expect(store.put('e', new Uint8Array(10_000))).rejects.toMatchObject({ code: 'STORE_FAILED' });
  });

  test('folder: across processes and restarts', async () => {
    for (let i = 0; i < 12; i++) {
      await createFolderStore({ root: folder, maxBytes: 10_000 }).put(`result/${i}`, new Uint8Array(2000));
    }
    const { objects } = await createFolderStore({ root: folder }).list('');
    expect(objects.length).toBeGreaterThan(2);
    expect(objects.reduce((sum, { size }) => sum + size, 0)).toBeLessThanOrEqual(10_000);
    expect(objects.map(({ key }) => key)).toContain('result/11');
  });
});

describe('folder store', () => {
  test('a torn file, a foreign file and a leftover are no objects', async () => {
    const store = createFolderStore({ root: folder });
    await store.put('result/torn', new Uint8Array(1000));
    await truncate(join(folder, 'result/torn'), 500);
    await writeFile(join(folder, 'result/foreign'), 'not ours');
    await writeFile(join(folder, 'result/left.123~'), 'half');
    expect([await store.get('result/torn'), await store.get('result/foreign')]).toEqual([undefined, undefined]);
    expect((await store.list('')).objects).toEqual([]);
  });

  test('no key leaves the folder, and none is lost to a file system’s special names', async () => {
    const store = createFolderStore({ root: join(folder, 'inner') });
    for (const key of ['../x', 'a/../../y', '..x/..', '.hidden', 'a:b*c', 'ü/é', 'x~']) {
      await store.put(key, bytes(key));
      expect(await textOf(await store.get(key))).toBe(key);
    }
    expect(await readdir(folder)).toEqual(['inner']);
    await expect(store.put('a//b', bytes(''))).rejects.toMatchObject({ code: 'STORE_FAILED' });
  });
});
