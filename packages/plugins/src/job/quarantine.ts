import { type ElfinError, sha256 } from '@elfin/core';
import { type ObjectStore, putSettled } from '@elfin/storage';
import type { UploadEvent } from '../events/event.ts';

/** What lies in the quarantine for an object that cannot be restored. The object itself stays where it is. */
export interface QuarantineEntry {
  readonly bucket: string;
  readonly key: string;
  readonly etag?: string;
  readonly rule: string;
  readonly code: string;
  readonly message: string;
  /** ISO 8601. */
  readonly time: string;
}

/** Whether an error is the object's own fault: too large, no image, broken, its name unusable. */
export const isPoison = ({ code, retry }: ElfinError) => !retry && (code.startsWith('IMAGE_') || code === 'KEY_UNSAFE');

/**
 * Writes down why an object cannot be restored, once a version of it: a digest names the entry, since the key itself may be
 * the trouble.
 *
 * @returns the entry's key.
 */
export async function quarantine(
  store: ObjectStore,
  prefix: string,
  event: UploadEvent,
  rule: string,
  error: ElfinError,
): Promise<string> {
  const entry: QuarantineEntry = {
    bucket: event.bucket,
    key: event.key,
    ...(event.etag !== undefined && { etag: event.etag }),
    rule,
    code: error.code,
    message: error.message,
    time: new Date().toISOString(),
  };
  const identity = JSON.stringify([event.bucket, event.key, event.etag ?? event.versionId ?? '', rule, error.code]);
  const key = `${prefix}${(await sha256(new TextEncoder().encode(identity))).slice(0, 32)}.json`;
  await putSettled(store, key, new TextEncoder().encode(JSON.stringify(entry, null, 2)), {
    ifAbsent: true,
    type: 'application/json',
  });
  return key;
}
