import { type ObjectBody, type ObjectStore, probeConditionalWrites, readAll } from '@elfin/storage';
import { expect, test } from 'vitest';
import { awkwardKeys } from '../helpers/storm.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
export const textOf = async (object: ObjectBody | 'changed' | undefined) =>
  typeof object === 'object' ? new TextDecoder().decode(await readAll(object.body)) : object;

/** What a kind of store is not asked for. */
export interface StoreAbilities {
  /** Durable Objects cannot be listed. Default true. */
  readonly lists?: boolean;
  /** The Cache API has no conditions, ranges and listing. Default true. */
  readonly conditions?: boolean;
  /** R2 takes one write a second of a key: of many at once none but the first may be believed. Default false. */
  readonly oneWriteASecond?: boolean;
  /** Whether `delete` keeps `ifMatch`; MinIO does not. Default true. */
  readonly conditionalDelete?: boolean;
}

/** What every store has to do, whatever it is made of: run over each of them. `create` answers with an empty one. */
export function storeConformance(
  create: () => ObjectStore | Promise<ObjectStore>,
  abilities: StoreAbilities = {},
): void {
  const { lists = true, conditions = true, oneWriteASecond = false, conditionalDelete = true } = abilities;
  const settle = () => (oneWriteASecond ? new Promise((done) => setTimeout(done, 1100)) : undefined);

  test('keeps bytes, type and metadata, and forgets what is deleted', async () => {
    const store = await create();
    expect(await store.head('result/a')).toBeUndefined();
    expect(await store.get('result/a')).toBeUndefined();
    const metadata = { info: '{"a":"é"}', place: 'Süd, 写真 🌧️', plain: '50% off' };
    const put = await store.put('result/a', bytes('hello'), { type: 'image/png', metadata });
    const { etag } = put as { etag: string };
    expect(etag).toMatch(/^[^"]+$/);
    expect(await store.head('result/a')).toMatchObject({ etag, size: 5, type: 'image/png', metadata });
    const found = await store.get('result/a');
    expect(found).toMatchObject({ etag, size: 5, type: 'image/png', metadata });
    expect(await textOf(found)).toBe('hello');
    await store.put('empty', new Uint8Array());
    expect(await textOf(await store.get('empty'))).toBe('');
    await store.put('stream', new Blob(['from a stream']).stream());
    expect(await textOf(await store.get('stream'))).toBe('from a stream');
    expect([await store.delete('stream'), await store.delete('stream'), await store.get('stream')]).toEqual([
      true,
      true,
      undefined,
    ]);
  });

  test.each(awkwardKeys(8))('takes the key %s', async (key) => {
    const store = await create();
    await store.put(key, bytes(key));
    expect(await textOf(await store.get(key))).toBe(key);
    if (lists && conditions) {
      expect((await store.list(key)).objects).toMatchObject([{ key, size: bytes(key).length }]);
    }
  });

  if (!conditions) return;

  test('ranges and conditions hold', async () => {
    const store = await create();
    const { etag } = (await store.put('result/a', bytes('hello'))) as { etag: string };
    expect(await textOf(await store.get('result/a', { range: { start: 1, end: 3 } }))).toBe('ell');
    expect(await textOf(await store.get('result/a', { range: { start: 3 } }))).toBe('lo');
    expect(await textOf(await store.get('result/a', { ifMatch: etag }))).toBe('hello');
    const other = 'f'.repeat(32);
    expect(await store.get('result/a', { ifMatch: other })).toBe('changed');
    expect(await store.put('result/none', bytes('x'), { ifMatch: etag })).toBe('conflict');
    await settle();
    // R2 may turn a write away for coming too soon before it looks at the condition: that is a conflict.
    expect(await store.put('result/a', bytes('x'), { ifAbsent: true })).toBe('exists');
    expect(await store.put('result/a', bytes('x'), { ifMatch: other })).toBe('conflict');
    expect(await textOf(await store.get('result/a'))).toBe('hello');
    await settle();
    const next = (await store.put('result/a', bytes('again'), { ifMatch: etag })) as { etag: string };
    expect(next.etag).not.toBe(etag);
    expect(await textOf(await store.get('result/a'))).toBe('again');
    if (!conditionalDelete) return;
    expect(await store.delete('result/a', { ifMatch: etag })).toBe(false);
    expect(await textOf(await store.get('result/a'))).toBe('again');
    expect(await store.delete('result/a', { ifMatch: next.etag })).toBe(true);
    expect(await store.delete('result/none', { ifMatch: next.etag })).toBe(true);
  });

  test('passes the probe, and of many writers one wins', async () => {
    const store = await create();
    await expect(probeConditionalWrites(store, 'probe/')).resolves.toBeUndefined();
    if (lists) expect((await store.list('probe/')).objects).toEqual([]);
    const writers = (name: string, condition: object) =>
      Promise.all(Array.from({ length: 20 }, (_, i) => store.put('lease/a', bytes(`${name} ${i}`), condition)));
    const won = (results: readonly unknown[]) => results.filter((result) => typeof result === 'object');
    expect(won(await writers('first', { ifAbsent: true }))).toHaveLength(1);
    await settle();
    const { etag } = (await store.head('lease/a'))!;
    expect(won(await writers('second', { ifMatch: etag }))).toHaveLength(1);
  });

  if (!lists) return;

  test('lists by prefix, page by page, in the order of keys', async () => {
    const store = await create();
    for (const key of ['ref/a/3', 'ref/a/1', 'ref/a/2', 'ref/ab/1', 'result/x & y']) await store.put(key, bytes(key));
    const keys: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await store.list('ref/a/', cursor);
      keys.push(...page.objects.map(({ key }) => key));
      cursor = page.cursor;
    } while (cursor !== undefined);
    expect(keys).toEqual(['ref/a/1', 'ref/a/2', 'ref/a/3']);
    // By a key that anyone may have kept, whoever goes on with it.
    expect((await store.list('ref/a/', 'ref/a/2')).objects.map(({ key }) => key)).toEqual(['ref/a/3']);
    expect((await store.list('result/')).objects.map(({ key, size }) => [key, size])).toEqual([['result/x & y', 12]]);
  });
}
