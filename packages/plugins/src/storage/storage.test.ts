import type { ObjectStore } from '@elfin/core';
import { expect, it } from 'vitest';
import { oneWriteASecond } from '../../../../test/helpers/slow-store.ts';
import { assertConditionalWrites, createMemoryStorage } from '../index.ts';

it('takes a store whose first answer got lost for what it is', async () => {
  const store = createMemoryStorage();
  // The client hears nothing, makes the write again, and is refused for its own.
  const repeating: ObjectStore = {
    ...store,
    async put(key, bytes, options) {
      const first = await store.put(key, bytes, options);
      return typeof first === 'string' ? first : store.put(key, bytes, options);
    },
  };
  await assertConditionalWrites(repeating, 'c/');
  expect(store.keys()).toEqual(['c/keep.json']);
});

it('refuses one that overwrites although If-None-Match or If-Match forbids it', async () => {
  const store = createMemoryStorage();
  const careless: ObjectStore[] = [
    { ...store, put: (key, bytes, { ifAbsent: _, ...options } = {}) => store.put(key, bytes, options) },
    { ...store, put: (key, bytes, { ifMatch: _, ...options } = {}) => store.put(key, bytes, options) },
  ];
  for (const one of careless)
    await expect(assertConditionalWrites(one, 'c/')).rejects.toMatchObject({ code: 'STORE_UNSUITABLE' });
});

it('refuses one that never lets a condition hold', async () => {
  const store = createMemoryStorage();
  const stubborn = { ...store, put: async () => 'exists' } as unknown as ObjectStore;
  await expect(assertConditionalWrites(stubborn, 'c/')).rejects.toMatchObject({ code: 'STORE_UNSUITABLE' });
});

it('gives a store that takes one write a second of a key that second', async () => {
  const store = createMemoryStorage();
  await assertConditionalWrites(oneWriteASecond(store), 'c/');
  expect(store.keys()).toEqual(['c/keep.json']);
});
