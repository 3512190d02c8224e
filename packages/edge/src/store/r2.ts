import type { R2Bucket, R2Object } from '@cloudflare/workers-types';
import { ElfinError, isElfinError } from '@elfin/core';
import type { ObjectBody, ObjectHead, ObjectStore } from '@elfin/storage';
import { readAll } from './bytes.ts';

function toHead(object: R2Object): ObjectHead {
  return {
    etag: object.etag,
    size: object.size,
    metadata: object.customMetadata ?? {},
    modified: object.uploaded.getTime(),
    versionId: object.version,
    ...(object.httpMetadata?.contentType ? { type: object.httpMetadata.contentType } : {}),
  };
}

/** R2 takes one write a second per key and answers 429 to the rest: whoever gets that has lost the race. */
const isTooFast = (error: unknown) => error instanceof Error && /10058|429|rate/i.test(error.message);

/**
 * Keeps objects in an R2 bucket through its Workers binding. Errors: STORE_FAILED.
 */
export function createR2Store(options: { readonly bucket: R2Bucket; readonly prefix?: string }): ObjectStore {
  const { bucket, prefix = '' } = options;

  async function guard<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      if (isElfinError(cause)) throw cause;
      throw new ElfinError('STORE_FAILED', 'The R2 bucket could not be read or written.', { cause });
    }
  }

  return {
    head: (key) =>
      guard(async () => {
        const object = await bucket.head(prefix + key);
        return object ? toHead(object) : undefined;
      }),

    get: (key, { ifMatch, range } = {}) =>
      guard(async (): Promise<ObjectBody | 'changed' | undefined> => {
        const object = await bucket.get(prefix + key, {
          ...(ifMatch === undefined ? {} : { onlyIf: { etagMatches: ifMatch } }),
          ...(range
            ? {
                range: {
                  offset: range.start,
                  ...(range.end === undefined ? {} : { length: range.end - range.start + 1 }),
                },
              }
            : {}),
        });
        if (!object) return undefined;
        if (!('body' in object)) return 'changed';
        return { ...toHead(object), body: object.body as unknown as ReadableStream<Uint8Array> };
      }),

    put: (key, body, { ifAbsent, ifMatch, type, metadata, signal } = {}) =>
      guard(async () => {
        const bytes = await readAll(body, signal);
        const lost = ifAbsent ? 'exists' : 'conflict';
        // A condition on an object that is not there fails in R2 as it must; without one there is nothing to lose.
        const onlyIf = ifAbsent
          ? { etagDoesNotMatch: '*' }
          : ifMatch === undefined
            ? undefined
            : { etagMatches: ifMatch };
        try {
          const object = await bucket.put(prefix + key, bytes, {
            ...(onlyIf ? { onlyIf } : {}),
            ...(type ? { httpMetadata: { contentType: type } } : {}),
            customMetadata: { ...metadata },
          });
          return object ? { etag: object.etag } : lost;
        } catch (error) {
          if (isTooFast(error)) return lost;
          throw error;
        }
      }),

    delete: (key, { ifMatch } = {}) =>
      guard(async () => {
        // R2 has no conditional delete: looking first leaves a gap, so no part of elfin relies on this condition alone.
        if (ifMatch !== undefined) {
          const present = await bucket.head(prefix + key);
          if (present && present.etag !== ifMatch) return false;
        }
        await bucket.delete(prefix + key);
        return true;
      }),

    list: (under, cursor) =>
      guard(async () => {
        const page = await bucket.list({ prefix: prefix + under, ...(cursor ? { cursor } : {}) });
        const objects = page.objects.map((object) => ({ ...toHead(object), key: object.key.slice(prefix.length) }));
        return { objects, ...(page.truncated ? { cursor: page.cursor } : {}) };
      }),
  };
}
