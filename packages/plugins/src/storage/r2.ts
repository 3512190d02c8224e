import { ElfinError } from '@elfin/core';
import type { ObjectHead, ObjectStore } from '@elfin/storage';
import { compact } from '../events/event.ts';
import { bytesOf } from './storage.ts';

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

/**
 * An R2 bucket by its binding. R2 takes about one write a second per key; a write that it turns away for that (429) has
 * lost its race and counts as `conflict`. Errors: STORE_FAILED.
 */
export function createR2Storage(bucket: R2BucketLike): ObjectStore {
  const trying = async <T>(verb: string, key: string, work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (cause) {
      const message = `Could not ${verb} "${key}" in R2 (${cause instanceof Error ? cause.message : String(cause)}); try again.`;
      throw new ElfinError('STORE_FAILED', message, { cause, data: { key } });
    }
  };
  return {
    async head(key) {
      const object = await trying('read', key, bucket.head(key));
      return object ? headOf(object) : undefined;
    },
    async get(key, { ifMatch, range } = {}) {
      const options = {
        ...(ifMatch && { onlyIf: { etagMatches: ifMatch } }),
        ...(range && {
          range: { offset: range.start, ...(range.end !== undefined && { length: range.end - range.start + 1 }) },
        }),
      };
      const object = await trying('read', key, bucket.get(key, options));
      if (!object) return undefined;
      if (!object.body) return 'changed';
      return { ...headOf(object), body: object.body as ReadableStream<Uint8Array> };
    },
    async put(key, input, { ifAbsent, ifMatch, type, metadata, storageClass } = {}) {
      const options = {
        ...(ifAbsent && { onlyIf: { etagDoesNotMatch: '*' } }),
        ...(ifMatch && { onlyIf: { etagMatches: ifMatch } }),
        ...(type && { httpMetadata: { contentType: type } }),
        ...(metadata && { customMetadata: { ...metadata } }),
        ...(storageClass && { storageClass }),
      };
      const bytes = await bytesOf(input);
      try {
        const object = await trying('write', key, bucket.put(key, bytes, options));
        return object ? { etag: object.etag } : ifAbsent ? 'exists' : 'conflict';
      } catch (error) {
        if (/\b429\b|\(10058\)/.test((error as Error).message)) return 'conflict';
        throw error;
      }
    },
    async delete(key, { ifMatch } = {}) {
      // R2 knows no conditional delete: what is deleted so is looked at first, and a claim lost in between costs one
      // repeated restoration, never a second result.
      if (ifMatch !== undefined) {
        const object = await trying('read', key, bucket.head(key));
        if (object && object.etag !== ifMatch) return false;
      }
      await trying('delete', key, bucket.delete(key));
      return true;
    },
    async list(prefix, cursor) {
      const page = await trying(
        'list',
        prefix,
        bucket.list({ prefix, include: ['httpMetadata', 'customMetadata'], ...(cursor && { startAfter: cursor }) }),
      );
      const objects = page.objects.map((object) => ({ key: object.key, ...headOf(object) }));
      const last = objects.at(-1)?.key;
      return { objects, ...(page.truncated && last !== undefined && { cursor: last }) };
    },
  };
}

const headOf = (object: R2ObjectLike): ObjectHead =>
  compact<ObjectHead>({
    etag: object.etag,
    size: object.size,
    type: object.httpMetadata?.contentType,
    metadata: object.customMetadata ?? {},
    modified: object.uploaded.getTime(),
    storageClass: object.storageClass === 'Standard' ? undefined : object.storageClass,
  });
