import { ElfinError, isElfinError } from '@elfin/core';
import { readAll } from './bytes.ts';
import type { ObjectHead, ObjectStore } from './object-store.ts';

/** The part of Cloudflare's R2Bucket that is used; a binding `env.PHOTOS` fits. */
export interface R2BucketLike {
  head(key: string): Promise<R2ObjectLike | null>;
  get(
    key: string,
    options?: { onlyIf?: { etagMatches?: string }; range?: { offset: number; length?: number } },
  ): Promise<(R2ObjectLike & { readonly body?: unknown }) | null>;
  put(
    key: string,
    value: Uint8Array,
    options?: {
      onlyIf?: { etagMatches?: string; etagDoesNotMatch?: string };
      httpMetadata?: { contentType?: string };
      customMetadata?: Record<string, string>;
      storageClass?: string;
    },
  ): Promise<R2ObjectLike | null>;
  delete(key: string): Promise<void>;
  list(options: { prefix: string; startAfter?: string; include?: ('httpMetadata' | 'customMetadata')[] }): Promise<{
    objects: readonly (R2ObjectLike & { readonly key: string })[];
    truncated: boolean;
  }>;
}

export interface R2ObjectLike {
  readonly etag: string;
  readonly size: number;
  readonly uploaded: Date;
  readonly httpMetadata?: { readonly contentType?: string };
  readonly customMetadata?: Record<string, string>;
  readonly storageClass?: string;
}

export interface R2StoreOptions {
  readonly bucket: R2BucketLike;
  /** Put in front of every key. */
  readonly prefix?: string | undefined;
  /** Milliseconds that one call may take. Default 30,000. */
  readonly timeoutMs?: number | undefined;
}

/**
 * Whether R2 turned a write away for coming within a second of another one on the same key: whoever gets that has lost the
 * race and may look and try again, whatever the condition was.
 */
const isTooSoon = (error: unknown) => /\b429\b|\(10058\)/.test(error instanceof Error ? error.message : String(error));

/**
 * An R2 bucket by its Workers binding. A write that R2 turns away for coming too soon (429, one a second and key) is a
 * `conflict`, also under `ifAbsent`: nothing says that an object is there. Errors: STORE_FAILED.
 *
 * @example
 * const store = createR2Store({ bucket: env.RESULTS, prefix: 'elfin/' });
 */
export function createR2Store(options: R2StoreOptions): ObjectStore {
  const { bucket, prefix = '', timeoutMs = 30_000 } = options;

  async function call<T>(verb: string, key: string, work: Promise<T>): Promise<T> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer in ${timeoutMs} ms`)), timeoutMs);
    });
    try {
      return await Promise.race([work, late]);
    } catch (cause) {
      if (isElfinError(cause)) throw cause;
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new ElfinError('STORE_FAILED', `Could not ${verb} "${key}" in R2 (${reason}); try again.`, {
        cause,
        data: { key },
      });
    } finally {
      clearTimeout(timer);
    }
  }

  return {
    async head(key) {
      const object = await call('read', key, bucket.head(prefix + key));
      return object ? toHead(object) : undefined;
    },
    async get(key, { ifMatch, range } = {}) {
      const length = range?.end === undefined ? {} : { length: range.end - range.start + 1 };
      const object = await call(
        'read',
        key,
        bucket.get(prefix + key, {
          ...(ifMatch !== undefined && { onlyIf: { etagMatches: ifMatch } }),
          ...(range && { range: { offset: range.start, ...length } }),
        }),
      );
      if (!object) return undefined;
      if (!object.body) return 'changed';
      return { ...toHead(object), body: object.body as ReadableStream<Uint8Array> };
    },
    async put(key, body, { ifAbsent, ifMatch, type, metadata, storageClass, signal } = {}) {
      const bytes = await readAll(body, { signal });
      const onlyIf = ifAbsent
        ? { etagDoesNotMatch: '*' }
        : ifMatch === undefined
          ? undefined
          : { etagMatches: ifMatch };
      const settings = {
        ...(onlyIf && { onlyIf }),
        ...(type && { httpMetadata: { contentType: type } }),
        customMetadata: { ...metadata },
        ...(storageClass && { storageClass }),
      };
      try {
        const object = await call('write', key, bucket.put(prefix + key, bytes, settings));
        return object ? { etag: object.etag } : ifAbsent ? 'exists' : 'conflict';
      } catch (error) {
        if (isTooSoon(error)) return 'conflict';
        throw error;
      }
    },
    async delete(key, { ifMatch } = {}) {
      // R2 knows no conditional delete: what is deleted so is looked at first. A lease lost in that gap costs a repeated
      // restoration, never a second result.
      if (ifMatch !== undefined) {
        const object = await call('read', key, bucket.head(prefix + key));
        if (object && object.etag !== ifMatch) return false;
      }
      await call('delete', key, bucket.delete(prefix + key));
      return true;
    },
    async list(under, cursor) {
      // By the last key and not by R2's cursor: that stays good in a file, whoever goes on with it.
      const page = await call(
        'list',
        under,
        bucket.list({
          prefix: prefix + under,
          include: ['httpMetadata', 'customMetadata'],
          ...(cursor !== undefined && { startAfter: prefix + cursor }),
        }),
      );
      const objects = page.objects.map((object) => ({ key: object.key.slice(prefix.length), ...toHead(object) }));
      return { objects, cursor: page.truncated ? objects.at(-1)?.key : undefined };
    },
  };
}

const toHead = (object: R2ObjectLike): ObjectHead => ({
  etag: object.etag,
  size: object.size,
  type: object.httpMetadata?.contentType,
  metadata: object.customMetadata ?? {},
  modified: object.uploaded.getTime(),
  storageClass: object.storageClass === 'Standard' ? undefined : object.storageClass,
});
