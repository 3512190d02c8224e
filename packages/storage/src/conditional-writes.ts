import { ElfinError, readBounded } from '@elfin/core';
import type { ObjectStore, PutOptions, PutResult } from './object-store.ts';

const encoder = new TextEncoder();

/**
 * Makes sure that a store keeps its word on conditional writes, on which "exactly once" rests. Some S3 look-alikes take
 * `If-None-Match` and write all the same (s3rver 3.7.1 does); they are refused here and not after the first lost race.
 *
 * @param prefix Where the probe's one object lies; it is deleted again.
 * @param whilePresent Done where the store passes, before that object goes: what has to lie beside it without a gap.
 * @throws STORE_UNSUITABLE, naming what does not hold, and whatever the store throws.
 */
export async function probeConditionalWrites(
  store: ObjectStore,
  prefix: string,
  whilePresent?: () => Promise<unknown>,
): Promise<void> {
  const key = `${prefix}probe-${crypto.randomUUID()}`;
  const refuse = (reason: string) => {
    const remedy = 'Use one with conditional writes (S3, R2, MinIO, versitygw), or a folder.';
    throw new ElfinError('STORE_UNSUITABLE', `The store cannot be used: ${reason}. ${remedy}`);
  };
  const write = (text: string, condition: PutOptions) => store.put(key, encoder.encode(text), condition);
  try {
    const first = await putHeard(store, key, 'first', { ifAbsent: true });
    if (typeof first === 'string') return refuse('it refuses to write a new object with If-None-Match: *');
    if ((await write('again', { ifAbsent: true })) !== 'exists') {
      return refuse('it overwrites an object although If-None-Match: * forbids it');
    }
    const replace = () => putHeard(store, key, 'replaced', { ifMatch: first.etag });
    let second = await replace();
    if (typeof second === 'string') {
      // R2 takes one write a second of a key, and turns away what comes sooner as if its condition did not hold.
      await new Promise((resolve) => setTimeout(resolve, 1100));
      second = await replace();
    }
    if (typeof second === 'string') return refuse('it refuses to overwrite an object whose ETag matches');
    if ((await write('stale', { ifMatch: first.etag })) !== 'conflict') {
      return refuse('it overwrites an object although If-Match forbids it');
    }
    await whilePresent?.();
  } finally {
    await store.delete(key).catch(() => undefined);
  }
}

/**
 * A conditional write, of bytes that nobody else writes there, whose answer may get lost: the client makes it again and is
 * refused for what it has written itself. So what a refusal finds is read, and counts as written where it is these bytes.
 */
async function putHeard(store: ObjectStore, key: string, text: string, condition: PutOptions): Promise<PutResult> {
  const bytes = encoder.encode(text);
  const result = await store.put(key, bytes, condition);
  if (typeof result !== 'string') return result;
  const found = await store.get(key);
  if (found === undefined || found === 'changed') return result;
  const there = await readBounded(found.body, bytes.length);
  return there?.length === bytes.length && there.every((byte, i) => byte === bytes[i]) ? { etag: found.etag } : result;
}
