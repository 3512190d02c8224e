import type { ObjectStore } from '@elfin/storage';

/** A store that takes one write a second of a key, as R2 does, and turns away what comes sooner as if its condition did not hold. */
export function oneWriteASecond(store: ObjectStore): ObjectStore {
  const written = new Map<string, number>();
  return {
    ...store,
    async put(key, body, options = {}) {
      if (Date.now() - (written.get(key) ?? 0) < 1000) return options.ifAbsent ? 'exists' : 'conflict';
      written.set(key, Date.now());
      return store.put(key, body, options);
    },
  };
}
