import { ElfinError, isElfinError } from '@elfin/core';
import type { ObjectStore } from '@elfin/storage';
import type { Source } from './source.ts';

/**
 * Reads `s3://bucket/key` and `r2://binding/key` through object stores, one a bucket. What is read is pinned to what was
 * looked at: a version id, or an `If-Match` on the ETag. Errors: SOURCE_FORBIDDEN for an unknown bucket or a refusal, SOURCE_MISSING,
 * SOURCE_FAILED.
 */
export function createObjectSource(buckets: (bucket: string) => ObjectStore | undefined): Source {
  return {
    async read(name, request = {}) {
      if (name.kind !== 's3' && name.kind !== 'r2')
        throw new ElfinError('SOURCE_FORBIDDEN', 'The source is in no bucket.');
      const store = buckets(name.bucket);
      if (!store) throw new ElfinError('SOURCE_FORBIDDEN', `The bucket "${name.bucket}" is not configured here.`);
      const signal = request.signal ? { signal: request.signal } : {};
      try {
        // Twice: an upload between the two calls is rare, and a second one in a row is told to the caller.
        for (let attempt = 0; attempt < 2; attempt++) {
          const head = await store.head(name.key, signal);
          if (!head) throw new ElfinError('SOURCE_MISSING', 'The source does not exist.');
          if (request.known?.etag === `"${head.etag}"`) return { state: 'same' };
          const pin = head.versionId ? { versionId: head.versionId } : { ifMatch: head.etag };
          const got = await store.get(name.key, { ...pin, ...signal });
          if (got === 'changed' || got === undefined) continue;
          return {
            state: 'found',
            body: got.body,
            size: got.size,
            revision: { etag: `"${head.etag}"` },
            validator: head.versionId ? { version: head.versionId } : { etag: head.etag },
            pinned: false,
          };
        }
        throw new ElfinError('SOURCE_FAILED', 'The source is being replaced right now; try again.');
      } catch (cause) {
        if (isElfinError(cause) && (cause.code.startsWith('SOURCE_') || cause.code === 'ABORTED')) throw cause;
        // Denied: a missing key looks the same to those who may not list the bucket, and no second try would change it.
        if (isElfinError(cause) && cause.code === 'INPUT_UNREADABLE')
          throw new ElfinError('SOURCE_FORBIDDEN', 'The source’s bucket refuses it (403).', { cause });
        throw new ElfinError('SOURCE_FAILED', 'The source’s bucket could not be read.', { cause });
      }
    },
  };
}
