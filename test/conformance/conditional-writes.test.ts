import { createMemoryStore, type ObjectStore, probeConditionalWrites } from '@elfin/storage';
import { expect, test } from 'vitest';
import { oneWriteASecond } from '../helpers/slow-store.ts';

const unsuitable = (reason: RegExp) => ({ code: 'STORE_UNSUITABLE', message: expect.stringMatching(reason) });

test('a store that keeps its conditions passes, and nothing is left behind', async () => {
  const store = createMemoryStore();
  await probeConditionalWrites(store, 'p/');
  expect(store.keys()).toEqual([]);
});

test('a store that takes one write a second of a key is given that second', async () => {
  await expect(probeConditionalWrites(oneWriteASecond(createMemoryStore()), 'p/')).resolves.toBeUndefined();
});

test('a store whose first answer got lost is taken for what it is', async () => {
  const store = createMemoryStore();
  // The client hears nothing, makes the write again, and is refused for its own.
  const repeating: ObjectStore = {
    ...store,
    async put(key, bytes, options) {
      const first = await store.put(key, bytes, options);
      return typeof first === 'string' ? first : store.put(key, bytes, options);
    },
  };
  await expect(probeConditionalWrites(repeating, 'p/')).resolves.toBeUndefined();
});

test('a store that overwrites although a condition forbids it is refused', async () => {
  const store = createMemoryStore();
  const onceMore: ObjectStore = {
    ...store,
    put: (key, bytes, { ifAbsent: _, ...options } = {}) => store.put(key, bytes, options),
  };
  const stale: ObjectStore = {
    ...store,
    put: (key, bytes, { ifMatch: _, ...options } = {}) => store.put(key, bytes, options),
  };
  await expect(probeConditionalWrites(onceMore, 'p/')).rejects.toMatchObject(unsuitable(/If-None-Match: \* forbids/));
  await expect(probeConditionalWrites(stale, 'p/')).rejects.toMatchObject(unsuitable(/If-Match forbids/));
  expect(store.keys()).toEqual([]);
});

test('a store whose conditions never hold is refused', async () => {
  const store = createMemoryStore();
  const never: ObjectStore = { ...store, put: async () => 'exists' };
  const noReplacing: ObjectStore = {
    ...store,
    put: async (key, bytes, options = {}) => (options.ifMatch ? 'conflict' : store.put(key, bytes, options)),
  };
  await expect(probeConditionalWrites(never, 'p/')).rejects.toMatchObject(unsuitable(/write a new object/));
  await expect(probeConditionalWrites(noReplacing, 'p/')).rejects.toMatchObject(unsuitable(/whose ETag matches/));
});
