import { ElfinError, joinBytes, type ObjectBody, type ObjectStore, type PutOptions, type PutResult } from '@elfin/core';

/** Which store holds a bucket; undefined for a bucket that the application does not serve. */
export type Storage = (bucket: string) => ObjectStore | undefined;

const encoder = new TextEncoder();

/**
 * Makes sure that a store keeps its word on conditional writes, on which "exactly once" rests. Some S3 look-alikes take
 * `If-None-Match` and write all the same (s3rver 3.7.1 does); they are refused here and not after the first lost race.
 *
 * @param prefix Where claims lie. The probe's object is deleted again; `keep.json` stays.
 * @throws STORE_UNSUITABLE, and whatever the store throws.
 */
export async function assertConditionalWrites(store: ObjectStore, prefix: string): Promise<void> {
  const key = `${prefix}probe-${crypto.randomUUID()}.json`;
  const unsuitable = (reason: string) =>
    new ElfinError(
      'STORE_UNSUITABLE',
      `The store cannot be used: ${reason}. Use one with conditional writes: S3, R2, MinIO, versitygw.`,
    );
  const write = (content: string, condition: PutOptions) => putHeard(store, key, encoder.encode(content), condition);
  try {
    const first = await write('{"probe":1}', { ifAbsent: true });
    if (typeof first === 'string') throw unsuitable('it refuses to write a new object with If-None-Match: *');
    if ((await store.put(key, encoder.encode('{"probe":2}'), { ifAbsent: true })) !== 'exists') {
      throw unsuitable('it overwrites an object although If-None-Match: * forbids it');
    }
    if ((await store.put(key, encoder.encode('{"probe":3}'), { ifMatch: '0'.repeat(32) })) !== 'conflict') {
      throw unsuitable('it overwrites an object although If-Match forbids it');
    }
    const replace = () => write('{"probe":4}', { ifMatch: first.etag });
    if (typeof (await replace()) === 'string') {
      // R2 takes one write a second of a key, and turns away what comes sooner as if its condition did not hold.
      await new Promise((resolve) => setTimeout(resolve, 1100));
      if (typeof (await replace()) === 'string')
        throw unsuitable('it refuses to overwrite an object whose ETag matches');
    }
    await store.put(`${prefix}keep.json`, encoder.encode(KEEP), { ifAbsent: true, type: 'application/json' });
  } finally {
    await store.delete(key).catch(() => undefined);
  }
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

/**
 * A conditional write, of bytes that nobody else writes there, whose answer may get lost: the client makes it again and is
 * refused for what it has written itself. So what a refusal finds is read, and counts as written where it is these bytes.
 */
async function putHeard(store: ObjectStore, key: string, bytes: Uint8Array, options: PutOptions): Promise<PutResult> {
  const result = await store.put(key, bytes, options);
  if (typeof result !== 'string') return result;
  const found = await store.get(key);
  if (found === undefined || found === 'changed') return result;
  const there = await readAll(found, 65_536, `"${key}"`);
  const same = there.length === bytes.length && there.every((byte, index) => byte === bytes[index]);
  return same ? { etag: found.etag } : result;
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
