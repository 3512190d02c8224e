import { ElfinError, sha256 } from '@elfin/core';
import type { ObjectBody, ObjectHead, ObjectStore } from '@elfin/storage';
import { bytesOf } from './storage.ts';

interface Kept extends ObjectHead {
  readonly bytes: Uint8Array;
  readonly tags: Readonly<Record<string, string>>;
}

/** A store in memory with S3's conditions: for tests, and for applications that want to try a rule. */
export function createMemoryStorage(): ObjectStore & { readonly keys: () => readonly string[] } {
  const objects = new Map<string, Kept>();
  const headOf = ({ bytes: _, tags: __, ...head }: Kept): ObjectHead => head;
  return {
    keys: () => [...objects.keys()].sort(),
    async head(key) {
      const kept = objects.get(key);
      return kept && headOf(kept);
    },
    async get(key, { ifMatch, range } = {}) {
      const kept = objects.get(key);
      if (kept === undefined) return undefined;
      if (ifMatch !== undefined && ifMatch !== kept.etag) return 'changed';
      const bytes = range ? kept.bytes.slice(range.start, (range.end ?? kept.size - 1) + 1) : kept.bytes;
      return { ...headOf(kept), body: new Blob([bytes as Uint8Array<ArrayBuffer>]).stream() } satisfies ObjectBody;
    },
    async put(key, input, { ifAbsent, ifMatch, type, metadata = {}, tags = {}, storageClass } = {}) {
      const bytes = (await bytesOf(input)).slice();
      const etag = (await sha256(bytes)).slice(0, 32);
      // No await from here on: looking and writing are one step.
      const before = objects.get(key);
      if (ifAbsent && before) return 'exists';
      if (ifMatch !== undefined && before?.etag !== ifMatch) return 'conflict';
      if (ifAbsent && ifMatch !== undefined) {
        throw new ElfinError('CONFIG_INVALID', 'ifAbsent and ifMatch exclude each other; give one.');
      }
      objects.set(key, {
        bytes,
        etag,
        size: bytes.length,
        metadata: { ...metadata },
        tags: { ...tags },
        modified: Date.now(),
        ...(type && { type }),
        ...(storageClass && { storageClass }),
      });
      return { etag };
    },
    async delete(key, { ifMatch } = {}) {
      const before = objects.get(key);
      if (before && ifMatch !== undefined && before.etag !== ifMatch) return false;
      objects.delete(key);
      return true;
    },
    tags: async (key) => ({ ...objects.get(key)?.tags }),
    async list(prefix, cursor = '') {
      const keys = [...objects.keys()].filter((key) => key.startsWith(prefix) && key > cursor).sort();
      const page = keys.slice(0, 1000);
      const last = page.at(-1);
      return {
        objects: page.map((key) => ({ key, ...headOf(objects.get(key)!) })),
        ...(keys.length > page.length && last !== undefined && { cursor: last }),
      };
    },
  };
}
