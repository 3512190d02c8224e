import { createMemoryStore, type ObjectStore, probeConditionalWrites } from '@elfin/storage';
import { describe, expect, test } from 'vitest';
import { storeConformance } from '../../../../test/conformance/store.ts';
import { createResultStore, type StoredResult } from './store.ts';
import { createTieredStore } from './tiered.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

const stores: Record<string, () => ObjectStore> = {
  memory: () => createMemoryStore(),
  tiered: () => createTieredStore(createMemoryStore(), createMemoryStore()),
};

describe('tiered store', () => storeConformance(stores.tiered!));

describe.each(Object.entries(stores))('results over a %s store', (_, create) => {
  test('the store passes the probe', async () => {
    await expect(probeConditionalWrites(create(), 'probe/')).resolves.toBeUndefined();
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
