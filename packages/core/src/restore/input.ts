import { joinBytes } from '../base/bytes.ts';
import { ElfinError, throwIfAborted } from '../base/errors.ts';
import { checkBytes } from '../image/limits.ts';

/** Encoded images, wherever they come from. */
export type EncodedInput = Uint8Array | ArrayBuffer | Blob | ReadableStream<Uint8Array>;

export function isEncoded(input: unknown): input is EncodedInput {
  return (
    input instanceof Uint8Array ||
    input instanceof ArrayBuffer ||
    input instanceof Blob ||
    input instanceof ReadableStream
  );
}

/**
 * All bytes of an input, at most `limit`: a stream is left as soon as it has brought more.
 * Errors: IMAGE_TOO_MANY_BYTES, INPUT_UNREADABLE, ABORTED.
 */
export async function readBytes(input: EncodedInput, limit: number, signal?: AbortSignal): Promise<Uint8Array> {
  throwIfAborted(signal);
  if (input instanceof ReadableStream) return readStream(input, limit, signal);
  if (input instanceof Blob) {
    checkBytes(input.size, limit);
    return new Uint8Array(await input.arrayBuffer().catch(unreadable));
  }
  const bytes = input instanceof ArrayBuffer ? new Uint8Array(input) : input;
  checkBytes(bytes.length, limit);
  return bytes;
}

async function readStream(
  stream: ReadableStream<Uint8Array>,
  limit: number,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  if (stream.locked) {
    throw new ElfinError(
      'OPTION_INVALID',
      'The stream is locked by another reader; hand in one that is not being read.',
    );
  }
  const reader = stream.getReader();
  const leave = () => void reader.cancel(signal?.reason).catch(() => {});
  signal?.addEventListener('abort', leave, { once: true });
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read().catch(unreadable);
      throwIfAborted(signal);
      if (done) break;
      if (!(value instanceof Uint8Array)) {
        throw new ElfinError('OPTION_INVALID', 'The stream must bring bytes (Uint8Array), not text or objects.');
      }
      length += value.length;
      checkBytes(length, limit);
      chunks.push(value);
    }
  } catch (error) {
    leave();
    throw error;
  } finally {
    signal?.removeEventListener('abort', leave);
    reader.releaseLock();
  }
  return joinBytes(chunks, length);
}

function unreadable(cause: unknown): never {
  const reason = cause instanceof Error ? cause.message : String(cause);
  throw new ElfinError('INPUT_UNREADABLE', `The image could not be read to its end: ${reason}`, { cause });
}
