import { ElfinError } from '@elfin/core';
import type { ObjectBody, ObjectHead, ObjectStore } from '@elfin/storage';
import { LRUCache } from 'lru-cache';
import { readAll, streamOf } from './bytes.ts';

interface Entry {
  readonly head: ObjectHead;
  readonly bytes: Uint8Array;
}

/**
 * Keeps objects in this process, the least recently used leaving first once `maxBytes` is reached.
 * Reads and writes are atomic, so every condition holds.
 */
export function createMemoryStore(options: { readonly maxBytes?: number } = {}): ObjectStore {
  const maxSize = options.maxBytes ?? 64 * 1024 * 1024;
  const entries = new LRUCache<string, Entry>({ maxSize, sizeCalculation: ({ bytes }) => bytes.byteLength + 512 });
  let writes = 0;
  return {
    async head(key) {
      return entries.get(key)?.head;
    },
    async get(key, { ifMatch, range } = {}): Promise<ObjectBody | 'changed' | undefined> {
      const entry = entries.get(key);
      if (!entry) return undefined;
      if (ifMatch !== undefined && ifMatch !== entry.head.etag) return 'changed';
      const bytes = range
        ? entry.bytes.subarray(range.start, range.end === undefined ? undefined : range.end + 1)
        : entry.bytes;
      return { ...entry.head, body: streamOf(bytes) };
    },
    async put(key, body, { ifAbsent, ifMatch, type, metadata, signal } = {}) {
      const bytes = await readAll(body, signal);
      const present = entries.peek(key);
      if (ifAbsent && present) return 'exists';
      if (ifMatch !== undefined && present?.head.etag !== ifMatch) return 'conflict';
      if (bytes.byteLength + 512 > maxSize) {
        throw new ElfinError(
          'STORE_FAILED',
          `An object of ${bytes.byteLength} bytes does not fit into a store of ${maxSize}.`,
        );
      }
      const etag = `${Date.now().toString(36)}-${(++writes).toString(36)}`;
      const head = {
        etag,
        size: bytes.byteLength,
        metadata: { ...metadata },
        modified: Date.now(),
        ...(type ? { type } : {}),
      };
      entries.set(key, { head, bytes: bytes.slice() });
      return { etag };
    },
    async delete(key, { ifMatch } = {}) {
      const present = entries.peek(key);
      if (ifMatch !== undefined && present && present.head.etag !== ifMatch) return false;
      entries.delete(key);
      return true;
    },
    async list(prefix) {
      const keys = [...entries.keys()].filter((key) => key.startsWith(prefix)).sort();
      return { objects: keys.map((key) => ({ key, ...(entries.peek(key) as Entry).head })) };
    },
  };
}
