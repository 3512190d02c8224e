import { throwIfAborted } from '@elfin/core';

/** Bytes as a stream of one chunk. */
export function streamOf(bytes: Uint8Array): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      if (bytes.byteLength > 0) controller.enqueue(bytes);
      controller.close();
    },
  });
}

/** A stream as bytes. Errors: what the stream throws, ABORTED. */
export async function readAll(
  body: Uint8Array | ReadableStream<Uint8Array>,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  throwIfAborted(signal);
  const bytes = body instanceof Uint8Array ? body : new Uint8Array(await new Response(body as BodyInit).arrayBuffer());
  throwIfAborted(signal);
  return bytes;
}

/** A metadata value as it was put, percent-encoded for the header; what others have put as it stands (`50% off`) stays so. */
export function decodeValue(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}
