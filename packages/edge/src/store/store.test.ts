import { mkdtemp, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ObjectBody, type ObjectStore, probeConditionalWrites } from '@elfin/storage';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startS3 } from '../../../../test/helpers/s3-server.ts';
import { readAll } from './bytes.ts';
import { createFolderStore } from './fs.ts';
import { createMemoryStore } from './memory.ts';
import { createS3Store } from './s3.ts';
import { createResultStore, type StoredResult } from './store.ts';
import { createTieredStore } from './tiered.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const text = async (object: ObjectBody | 'changed' | undefined) =>
  typeof object === 'object' ? new TextDecoder().decode(await readAll(object.body)) : object;
const credentials = { accessKeyId: 'id', secretAccessKey: 'secret' };

let folder = '';
const s3 = await startS3();
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
  tiered: () => createTieredStore(createMemoryStore(), createFolderStore({ root: folder })),
};

test('metadata that others have put is read as it stands where it is not percent-encoded', async () => {
  const send = async () => new Response('x', { headers: { etag: '"a"', 'x-amz-meta-title': '50% off' } });
  const store = createS3Store({ endpoint: 'https://s3.example', bucket: 'b', credentials, fetch: send });
  expect(await store.head('photo.jpg')).toMatchObject({ metadata: { title: '50% off' } });
});

describe.each(Object.entries(stores))('%s store', (_, create) => {
  test('keeps bytes, type and metadata; ranges, conditions and deletion hold', async () => {
    const store = create();
    expect(await store.head('result/a')).toBeUndefined();
    expect(await store.get('result/a')).toBeUndefined();
    const put = await store.put('result/a', bytes('hello'), { type: 'image/png', metadata: { info: '{"a":"é"}' } });
    const { etag } = put as { etag: string };
    expect(await store.head('result/a')).toMatchObject({
      etag,
      size: 5,
      type: 'image/png',
      metadata: { info: '{"a":"é"}' },
    });
    expect(await text(await store.get('result/a', { range: { start: 1, end: 3 } }))).toBe('ell');
    expect(await text(await store.get('result/a', { ifMatch: etag }))).toBe('hello');
    expect(await store.get('result/a', { ifMatch: 'other' })).toBe('changed');
    expect(await store.put('result/a', bytes('x'), { ifAbsent: true })).toBe('exists');
    expect(await store.put('result/a', bytes('x'), { ifMatch: 'other' })).toBe('conflict');
    expect(await store.put('result/none', bytes('x'), { ifMatch: etag })).toBe('conflict');
    expect(await text(await store.get('result/a'))).toBe('hello');
    const next = (await store.put('job/a', bytes('1'))) as { etag: string };
    expect(await store.put('job/a', bytes('2'), { ifMatch: next.etag })).toEqual({ etag: expect.any(String) });
    expect(await store.delete('job/a', { ifMatch: next.etag })).toBe(false);
    expect(await text(await store.get('job/a'))).toBe('2');
    expect([await store.delete('job/a'), await store.delete('job/a'), await store.get('job/a')]).toEqual([
      true,
      true,
      undefined,
    ]);
  });

  test('lists by prefix, page by page', async () => {
    const store = create();
    for (const key of ['ref/a/1', 'ref/a/2', 'ref/a/3', 'ref/ab/1', 'result/x & y']) await store.put(key, bytes(key));
    const keys: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await store.list('ref/a/', cursor);
      keys.push(...page.objects.map(({ key }) => key));
      cursor = page.cursor;
    } while (cursor !== undefined);
    expect(keys.sort()).toEqual(['ref/a/1', 'ref/a/2', 'ref/a/3']);
    expect((await store.list('result/')).objects.map(({ key, size }) => [key, size])).toEqual([['result/x & y', 12]]);
  });

  test('passes the probe, and of many writers one wins', async () => {
    const store = create();
    await expect(probeConditionalWrites(store, 'probe/')).resolves.toBeUndefined();
    expect((await store.list('probe/')).objects).toEqual([]);
    const first = await Promise.all(
      Array.from({ length: 20 }, (_, i) => store.put('lease/a', bytes(String(i)), { ifAbsent: true })),
    );
    expect(first.filter((result) => result !== 'exists')).toHaveLength(1);
    const { etag } = (await store.head('lease/a')) as { etag: string };
    const second = await Promise.all(
      Array.from({ length: 20 }, (_, i) => store.put('lease/a', bytes(String(i)), { ifMatch: etag })),
    );
    expect(second.filter((result) => result !== 'conflict')).toHaveLength(1);
  });

  test('results come back as they were put, refs lead to them, and a purge forgets refs', async () => {
    const results = createResultStore(create());
    const side = { bytes: 3, width: 1, height: 1, format: 'png' };
    const result: StoredResult = { bytes: bytes('abc'), type: 'image/png', info: { input: side, output: side } };
    await results.putResult('k', result);
    expect(await results.getResult('k')).toEqual(result);
    expect(await results.getResult('other')).toBeUndefined();
    const ref = { key: 'k', revision: { etag: '"1"' }, pinned: false, checkedAt: 5 };
    const names = ['https://a.example/1', 'https://a.example/2', 'https://b.example/1'].map((source) => ({
      source,
      path: `p ${source}`,
      variant: 'webp',
    }));
    for (const name of names) await results.putRef(name, { ...ref, path: name.path, source: name.source });
    const [one, two, three] = names as [(typeof names)[0], (typeof names)[0], (typeof names)[0]];
    expect(await results.getRef(one)).toMatchObject(ref);
    expect(await results.getRef({ ...one, variant: 'avif' })).toBeUndefined();
    expect(await results.purge({ source: one.source })).toBe(1);
    expect([await results.getRef(one), (await results.getRef(two))?.key]).toEqual([undefined, 'k']);
    expect(await results.purge({ sourcePrefix: 'https://a.example/' })).toBe(1);
    expect([await results.getRef(two), (await results.getRef(three))?.key]).toEqual([undefined, 'k']);
  });
});

test('a result whose bytes were damaged in the store does not exist', async () => {
  const store = createMemoryStore();
  const side = { bytes: 3, width: 1, height: 1, format: 'png' };
  await createResultStore(store).putResult('k', {
    bytes: bytes('abc'),
    type: 'image/png',
    info: { input: side, output: side },
  });
  const { metadata } = (await store.head('result/k')) as { metadata: Record<string, string> };
  await store.put('result/k', bytes('abd'), { type: 'image/png', metadata });
  const results = createResultStore(store);
  expect(await results.getResult('k')).toBeUndefined();
  await results.putResult('k', { bytes: bytes('abc'), type: 'image/png', info: { input: side, output: side } });
  expect(new TextDecoder().decode((await results.getResult('k'))?.bytes)).toBe('abc');
  expect(
    (await results.putResult('k', { bytes: bytes('xyz'), type: 'image/png', info: { input: side, output: side } }))
      .bytes,
  ).toEqual(bytes('abc'));
});

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
      expect(await text(await store.get(key))).toBe(key);
    }
    expect(await readdir(folder)).toEqual(['inner']);
    await expect(store.put('a//b', bytes(''))).rejects.toMatchObject({ code: 'STORE_FAILED' });
  });
});

test('s3: denied, broken and absent servers are told apart', async () => {
  const options = { endpoint: s3.endpoint, bucket: 'b', credentials };
  const answering = (status: number, code: string) =>
    createS3Store({ ...options, fetch: async () => new Response(`<Error><Code>${code}</Code></Error>`, { status }) });
  await expect(answering(403, 'AccessDenied').get('k')).rejects.toMatchObject({ code: 'INPUT_UNREADABLE' });
  await expect(answering(400, 'ExpiredToken').get('k')).rejects.toMatchObject({ code: 'CREDENTIALS_EXPIRED' });
  await expect(answering(500, 'InternalError').put('k', bytes('x'))).rejects.toMatchObject({ code: 'STORE_FAILED' });
  await expect(answering(409, 'ConditionalRequestConflict').put('k', bytes('x'), { ifAbsent: true })).resolves.toBe(
    'conflict',
  );
  await expect(createS3Store({ ...options, endpoint: 'http://127.0.0.1:1' }).get('k')).rejects.toMatchObject({
    code: 'STORE_FAILED',
  });
});
