import { ElfinError, joinBytes, throwIfAborted } from '@elfin/core';

/** Bytes as a stream of one chunk. */
export function streamOf(bytes: Uint8Array): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      if (bytes.byteLength > 0) controller.enqueue(bytes);
      controller.close();
    },
  });
}

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

/**
 * Bytes, or a stream read to its end.
 *
 * @throws what the stream throws; ABORTED; IMAGE_TOO_MANY_BYTES as soon as more than `limit` bytes have come, whatever
 *   length was announced.
 * @example
 * const found = await store.get('incoming/a.jpg');
 * if (typeof found === 'object') await readAll(found.body, { limit: 64 * 1024 * 1024, what: 'a.jpg' });
 */
export async function readAll(
  body: Uint8Array | ReadableStream<Uint8Array>,
  options: {
    readonly signal?: AbortSignal | undefined;
    readonly limit?: number | undefined;
    /** Called with each chunk's bytes as they come. */
    readonly onProgress?: ((bytes: number) => void) | undefined;
    /** What the bytes are, for the error's message. */
    readonly what?: string | undefined;
  } = {},
): Promise<Uint8Array> {
  const { signal, limit = Number.POSITIVE_INFINITY, what = 'The object' } = options;
  throwIfAborted(signal);
  if (body instanceof Uint8Array) return body;
  const chunks: Uint8Array[] = [];
  let length = 0;
  // Leaving the loop cancels the stream, so the rest is not downloaded.
  for await (const chunk of chunksOf(body)) {
    throwIfAborted(signal);
    length += chunk.byteLength;
    if (length > limit) throw tooManyBytes(what, length, limit);
    options.onProgress?.(chunk.byteLength);
    chunks.push(chunk);
  }
  return chunks.length === 1 ? chunks[0]! : joinBytes(chunks, length);
}

/** The error of an object that is larger than it may be. */
export const tooManyBytes = (what: string, bytes: number, limit: number): ElfinError =>
  new ElfinError('IMAGE_TOO_MANY_BYTES', `${what} has ${bytes} bytes or more; ${limit} are allowed.`, {
    data: { bytes, limit },
  });

/** The part of bytes that a range names. */
export const sliceOf = (
  bytes: Uint8Array,
  range: { readonly start: number; readonly end?: number | undefined } | undefined,
) => (range ? bytes.subarray(range.start, range.end === undefined ? undefined : range.end + 1) : bytes);
