import { createMemoryStore, type ObjectStore } from '@elfin/storage';
import { expect, it } from 'vitest';
import { oneWriteASecond } from '../../../test/helpers/slow-store.ts';
import { assertConditionalWrites } from './index.ts';

it('keeps the folder of claims, and leaves nothing else there', async () => {
  const store = createMemoryStore();
  await assertConditionalWrites(oneWriteASecond(store), 'c/');
  expect(store.keys()).toEqual(['c/keep.json']);
});

it('refuses a store that overwrites although If-Match forbids it', async () => {
  const store = createMemoryStore();
  const careless: ObjectStore = {
    ...store,
    put: (key, bytes, { ifMatch: _, ...options } = {}) => store.put(key, bytes, options),
  };
  await expect(assertConditionalWrites(careless, 'c/')).rejects.toMatchObject({ code: 'STORE_UNSUITABLE' });
});
