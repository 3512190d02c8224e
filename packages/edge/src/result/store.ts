import { sha256 } from '@elfin/core';
import { type ObjectStore, readAll } from '@elfin/storage';
import { sha256 as sha256Now } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import type { ResultInfo } from '../http/headers.ts';
import type { CacheScope, Revision } from '../source/source.ts';

/** A finished image with its facts. */
export interface StoredResult {
  readonly bytes: Uint8Array;
  /** Media type. */
  readonly type: string;
  readonly info: ResultInfo;
}

/** What a URL meant when it was last looked at: the first of the two lookups. */
export interface Ref {
  readonly key: string;
  /** What it was made with; a ref without is of an older version of elfin, and leads to nothing that is current. */
  readonly fingerprint?: string | undefined;
  readonly revision: Revision;
  /** The source's bytes can never change under its name. */
  readonly pinned: boolean;
  /** What the source lets caches do; `public` where missing. */
  readonly scope?: CacheScope | undefined;
  /** Milliseconds since the epoch. */
  readonly checkedAt: number;
  /** The canonical path of the transform and the variant, for purging by URL. */
  readonly path: string;
  readonly source: string;
  /** Key of the restored picture that it was made from; see `createPictureStore`. */
  readonly picture?: string | undefined;
}

/** Results by content key, and refs that lead to them by URL. */
export interface ResultStore {
  getRef(name: RefName): Promise<Ref | undefined>;
  putRef(name: RefName, ref: Ref): Promise<void>;
  /** Undefined where nothing is, or where what is there is not what was put. */
  getResult(key: string): Promise<StoredResult | undefined>;
  /** Keeps a result and resolves to what is kept: another process may have been first with other bytes of the same picture. */
  putResult(key: string, result: StoredResult): Promise<StoredResult>;
  /**
   * Deletes results with what led to them and the restored pictures that they were made from, so that the next request makes all
   * of it anew. Resolves to the number of results forgotten.
   */
  purge(what: { readonly source: string } | { readonly sourcePrefix: string }): Promise<number>;
}

/** Identifies one ref: the source, the canonical path and the variant. */
export interface RefName {
  readonly source: string;
  readonly path: string;
  readonly variant: string;
}

const encoder = new TextEncoder();
/** Of a line of text, on the spot: WebCrypto's way through a thread pool is for images, which are a thousand times longer. */
const digest = (text: string) => bytesToHex(sha256Now(encoder.encode(text))).slice(0, 40);

/** Refs of one source share a folder, so that a source is purged by one listing. */
function refKey({ source, path, variant }: RefName): string {
  return `ref/${digest(source)}/${digest(`${path}\n${variant}`)}`;
}

/**
 * Results and refs over any object store. Every result is checked against its digest when read: a store that lost the
 * end of an object, or handed out another one, costs a recomputation and never shows a wrong picture.
 */
export function createResultStore(store: ObjectStore): ResultStore {
  async function read(key: string) {
    const object = await store.get(key);
    if (object === undefined || object === 'changed') return undefined;
    return { ...object, bytes: await readAll(object.body) };
  }

  async function dropRefs(prefix: string, keep: (ref: Ref) => boolean): Promise<number> {
    let count = 0;
    let cursor: string | undefined;
    do {
      const page = await store.list(prefix, cursor);
      for (const { key } of page.objects) {
        const object = await read(key);
        const ref = object && parseRef(object.bytes);
        if (ref && keep(ref)) continue;
        await store.delete(key);
        // Results too, and what they were made from: the next request makes all of it anew.
        if (ref) await store.delete(`result/${ref.key}`);
        if (ref?.picture) await store.delete(`restored/${ref.picture}`);
        count += 1;
      }
      cursor = page.cursor;
    } while (cursor !== undefined);
    return count;
  }

  async function getResult(key: string): Promise<StoredResult | undefined> {
    const object = await read(`result/${key}`);
    const { sha256: expected, info } = object?.metadata ?? {};
    if (!object || !expected || !info || (await sha256(object.bytes)) !== expected) return undefined;
    const known = parse<ResultInfo>(info);
    return known && { bytes: object.bytes, type: object.type ?? 'application/octet-stream', info: known };
  }

  return {
    getResult,
    async getRef(name) {
      const object = await read(refKey(name));
      const ref = object && parseRef(object.bytes);
      return ref?.path === name.path ? ref : undefined;
    },
    async putRef(name, ref) {
      await store.put(refKey(name), encoder.encode(JSON.stringify(ref)), { type: 'application/json' });
    },
    async putResult(key, result) {
      const { bytes, type, info } = result;
      const options = { type, metadata: { sha256: await sha256(bytes), info: JSON.stringify(info) } };
      const written = await store.put(`result/${key}`, bytes, { ...options, ifAbsent: true });
      if (written !== 'exists') return result;
      const present = await getResult(key);
      if (present) return present;
      // What is there is damaged: it would otherwise be made anew for ever.
      await store.put(`result/${key}`, bytes, options);
      return result;
    },
    async purge(what) {
      if ('source' in what) return dropRefs(`ref/${digest(what.source)}/`, ({ source }) => source !== what.source);
      return dropRefs('ref/', ({ source }) => !source.startsWith(what.sourcePrefix));
    },
  };
}

function parseRef(bytes: Uint8Array): Ref | undefined {
  const ref = parse<Partial<Ref>>(new TextDecoder().decode(bytes));
  return typeof ref?.key === 'string' && typeof ref.checkedAt === 'number' ? (ref as Ref) : undefined;
}

/** Undefined for what is no JSON: nothing of ours. */
function parse<T>(text: string): T | undefined {
  try {
    return JSON.parse(text) as T;
  } catch {
    return undefined;
  }
}
