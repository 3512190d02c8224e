import { ElfinError } from '@elfin/core';
import type { ObjectStore, PutOptions } from './object-store.ts';

/**
 * Tries a write under `If-None-Match: *` again while the store only says that somebody else is writing the same key (S3's
 * 409, R2's 429).
 *
 * @throws STORE_FAILED after six times, and whatever the store throws.
 */
export async function putSettled(
  store: ObjectStore,
  key: string,
  bytes: Uint8Array,
  options: PutOptions & { readonly ifAbsent: true },
): Promise<{ readonly etag: string } | 'exists'> {
  for (let attempt = 0; attempt < 6; attempt++) {
    const result = await store.put(key, bytes, options);
    if (result !== 'conflict') return result;
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 50 * 2 ** attempt));
  }
  throw new ElfinError('STORE_FAILED', `"${key}" is being written by others again and again; try later.`, {
    data: { key },
  });
}
