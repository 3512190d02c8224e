import type { ObjectStore } from '@elfin/core';

/** The least that keeps the contract: conditions hold, and nothing else is kept of an object but its bytes. */
export function createMapStore(): ObjectStore & { readonly keys: () => string[] } {
  const objects = new Map<string, { readonly etag: string; readonly bytes: Uint8Array<ArrayBuffer> }>();
  let versions = 0;
  const head = (key: string) => {
    const found = objects.get(key);
    return found && { etag: found.etag, size: found.bytes.length, metadata: {} };
  };
  return {
    keys: () => [...objects.keys()],
    head: async (key) => head(key),
    async get(key, { ifMatch } = {}) {
      const found = head(key);
      if (!found) return undefined;
      if (ifMatch !== undefined && ifMatch !== found.etag) return 'changed';
      return { ...found, body: new Blob([objects.get(key)!.bytes]).stream() };
    },
    async put(key, bytes, { ifAbsent, ifMatch } = {}) {
      const written = new Uint8Array(await new Response(bytes as BodyInit).arrayBuffer());
      const found = objects.get(key);
      if (ifAbsent && found) return 'exists';
      if (ifMatch !== undefined && ifMatch !== found?.etag) return 'conflict';
      const etag = String(++versions);
      objects.set(key, { etag, bytes: written });
      return { etag };
    },
    async delete(key, { ifMatch } = {}) {
      if (ifMatch !== undefined && ifMatch !== objects.get(key)?.etag) return false;
      objects.delete(key);
      return true;
    },
    list: async (prefix) => ({
      objects: [...objects.keys()].filter((key) => key.startsWith(prefix)).map((key) => ({ key, ...head(key)! })),
    }),
  };
}

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
