import { ElfinError, joinBytes } from '@elfin/core';
import {
  type ObjectBody,
  type ObjectStore,
  type PutOptions,
  type PutResult,
  probeConditionalWrites,
} from '@elfin/storage';

/** Which store holds a bucket; undefined for a bucket that the application does not serve. */
export type Storage = (bucket: string) => ObjectStore | undefined;

const encoder = new TextEncoder();

/**
 * Makes sure that the folder of claims stays and that its store keeps its word on conditional writes.
 *
 * @param prefix Where claims lie. `keep.json` is put there and stays, unless the store is unsuitable.
 * @throws STORE_UNSUITABLE, and whatever the store throws.
 */
export async function assertConditionalWrites(store: ObjectStore, prefix: string): Promise<void> {
  const keep = { ifAbsent: true, type: 'application/json' };
  await probeConditionalWrites(store, prefix, () => store.put(`${prefix}keep.json`, encoder.encode(KEEP), keep));
}

// A gateway over a file system removes a folder with its last object. versitygw 1.8.0 then sometimes takes the next claim's
// path for a folder (409 ExistingObjectIsDirectory), so the folder of claims never becomes empty.
const KEEP = '{"why":"Keeps the folder of claims from being removed with the last of them."}';

/**
 * Reads a body whole.
 * @throws IMAGE_TOO_MANY_BYTES as soon as more than `limit` bytes have come, whatever length was announced.
 */
export async function readAll(object: ObjectBody, limit: number, what: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of chunksOf(object.body)) {
    length += chunk.byteLength;
    // Leaving the loop cancels the stream, so the rest is not downloaded.
    if (length > limit) throw tooLarge(what, length, limit);
    chunks.push(chunk);
  }
  if (chunks.length === 1) return chunks[0]!;
  return joinBytes(chunks, length);
}

/** The error of an object that is larger than its rule allows. */
export const tooLarge = (what: string, bytes: number, limit: number) =>
  new ElfinError('IMAGE_TOO_MANY_BYTES', `${what} has ${bytes} bytes or more; its rule allows ${limit}.`, {
    data: { bytes, limit },
  });

/** A stream chunk by chunk; leaving the loop early cancels it. */
export async function* chunksOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader();
  let whole = false;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      whole = done;
      if (done) return;
      yield value;
    }
  } finally {
    if (!whole) await reader.cancel().catch(() => undefined);
    reader.releaseLock();
  }
}

/** Bytes or a stream, as bytes. Results are in memory already; streams come from applications of their own. */
export async function bytesOf(input: Uint8Array | ReadableStream<Uint8Array>): Promise<Uint8Array> {
  return input instanceof Uint8Array ? input : new Uint8Array(await new Response(input as BodyInit).arrayBuffer());
}

/** Tries a conditional write again while the store only says that somebody else is writing the same key (S3's 409). */
export async function putSettled(
  store: ObjectStore,
  key: string,
  bytes: Uint8Array,
  options: PutOptions & { readonly ifAbsent: true },
): Promise<{ readonly etag: string } | 'exists'> {
  for (let attempt = 0; attempt < 6; attempt++) {
    const result: PutResult = await store.put(key, bytes, options);
    if (result !== 'conflict') return result;
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 50 * 2 ** attempt));
  }
  throw new ElfinError('STORE_FAILED', `"${key}" is being written by others again and again; try later.`, {
    data: { key },
  });
}
