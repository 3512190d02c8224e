import { joinBytes } from '../base/bytes.ts';
import { ElfinError } from '../base/errors.ts';

/**
 * Reads a whole body of at most `limit` bytes. A Content-Length may lie, so bytes are counted as they come.
 * Answers undefined where there are more; the rest is then cancelled. `onChunk` is told of each chunk's bytes; what it throws
 * ends the reading. Errors: those of the stream and of `onChunk`.
 */
export async function readBounded(
  body: ReadableStream<Uint8Array> | null,
  limit: number,
  onChunk: (bytes: number) => void = () => undefined,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  if (body === null) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    length += value.byteLength;
    if (length > limit) {
      await reader.cancel(new ElfinError('IMAGE_TOO_MANY_BYTES', `More than ${limit} bytes.`)).catch(() => undefined);
      return undefined;
    }
    try {
      onChunk(value.byteLength);
    } catch (error) {
      await reader.cancel(error).catch(() => undefined);
      throw error;
    }
    chunks.push(value);
  }
  return joinBytes(chunks, length);
}
