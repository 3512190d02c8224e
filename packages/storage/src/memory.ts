import { ElfinError, sha256 } from '@elfin/core';
import { LRUCache } from 'lru-cache';
import { readAll, sliceOf, streamOf } from './bytes.ts';
import type { ObjectHead, ObjectPage, ObjectStore } from './object-store.ts';

interface Entry {
  readonly head: ObjectHead;
  readonly bytes: Uint8Array;
  readonly tags: Readonly<Record<string, string>>;
}

export interface MemoryStoreOptions {
  /** Bytes, about 512 an object included. Default 64 MiB; beyond it the least recently used objects leave. */
  readonly maxBytes?: number | undefined;
}

/** What an entry weighs beside its bytes. */
const OVERHEAD = 512;
const PAGE = 1000;

/**
 * Keeps objects in this process, with S3's conditions: looking and writing are one step, and an ETag is of the content.
 * Errors: STORE_FAILED for what does not fit, CONFIG_INVALID for two conditions at once.
 *
 * @example
 * const store = createMemoryStore({ maxBytes: 16 * 1024 * 1024 });
 * await store.put('a', new Uint8Array(3), { ifAbsent: true });
 */
export function createMemoryStore(
  options: MemoryStoreOptions = {},
): ObjectStore & { readonly keys: () => readonly string[] } {
  const maxSize = options.maxBytes ?? 64 * 1024 * 1024;
  const entries = new LRUCache<string, Entry>({ maxSize, sizeCalculation: ({ bytes }) => bytes.byteLength + OVERHEAD });
  const keys = () => [...entries.keys()].sort();
  return {
    keys,
    async head(key) {
      return entries.get(key)?.head;
    },
    async get(key, { ifMatch, range } = {}) {
      const entry = entries.get(key);
      if (!entry) return undefined;
      if (ifMatch !== undefined && ifMatch !== entry.head.etag) return 'changed';
      return { ...entry.head, body: streamOf(sliceOf(entry.bytes, range)) };
    },
    async put(key, body, { ifAbsent, ifMatch, type, metadata = {}, tags = {}, storageClass, signal } = {}) {
      if (ifAbsent && ifMatch !== undefined) {
        throw new ElfinError('CONFIG_INVALID', 'ifAbsent and ifMatch exclude each other; give one.');
      }
      const bytes = (await readAll(body, { signal })).slice();
      const etag = (await sha256(bytes)).slice(0, 32);
      // No await from here on: looking and writing are one step.
      const present = entries.peek(key);
      if (ifAbsent && present) return 'exists';
      if (ifMatch !== undefined && present?.head.etag !== ifMatch) return 'conflict';
      if (bytes.byteLength + OVERHEAD > maxSize) {
        const message = `An object of ${bytes.byteLength} bytes does not fit into a store of ${maxSize}; raise maxBytes.`;
        throw new ElfinError('STORE_FAILED', message);
      }
      const size = bytes.byteLength;
      const head = { etag, size, type, metadata: { ...metadata }, modified: Date.now(), storageClass };
      entries.set(key, { head, bytes, tags: { ...tags } });
      return { etag };
    },
    async delete(key, { ifMatch } = {}) {
      const present = entries.peek(key);
      if (ifMatch !== undefined && present && present.head.etag !== ifMatch) return false;
      entries.delete(key);
      return true;
    },
    tags: async (key) => ({ ...entries.peek(key)?.tags }),
    async list(prefix, cursor = ''): Promise<ObjectPage> {
      const found = keys().filter((key) => key.startsWith(prefix) && key > cursor);
      const page = found.slice(0, PAGE);
      return {
        objects: page.map((key) => ({ key, ...entries.peek(key)!.head })),
        cursor: found.length > page.length ? page.at(-1) : undefined,
      };
    },
  };
}
