import { type ObjectStore, readAll, streamOf } from '@elfin/storage';

/**
 * A small fast store in front of a large slow one. Only immutable results pass through the front: what may change
 * under its key (refs, jobs, leases) is always asked of the back, so that no process sees an old state.
 */
export function createTieredStore(front: ObjectStore, back: ObjectStore): ObjectStore {
  const immutable = (key: string) => key.startsWith('result/');
  return {
    head: (key, options) => back.head(key, options),
    async get(key, options = {}) {
      const plain = options.range === undefined && options.ifMatch === undefined && options.versionId === undefined;
      if (!immutable(key) || !plain) return back.get(key, options);
      const near = await front.get(key, options).catch(() => undefined);
      if (near !== undefined && near !== 'changed') return near;
      const far = await back.get(key, options);
      if (far === undefined || far === 'changed') return far;
      const bytes = await readAll(far.body, { signal: options.signal });
      await front.put(key, bytes, { type: far.type, metadata: far.metadata }).catch(() => undefined);
      return { ...far, body: streamOf(bytes) };
    },
    async put(key, body, options) {
      if (!immutable(key)) return back.put(key, body, options);
      const bytes = await readAll(body, { signal: options?.signal });
      const result = await back.put(key, bytes, options);
      if (typeof result === 'object') {
        const { type, metadata } = options ?? {};
        await front.put(key, bytes, { type, metadata }).catch(() => undefined);
      }
      return result;
    },
    async delete(key, options) {
      await front.delete(key);
      return back.delete(key, options);
    },
    list: (prefix, cursor) => back.list(prefix, cursor),
  };
}
