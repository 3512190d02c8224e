import { Readable } from 'node:stream';
import { DEFAULT_LIMITS, ElfinError } from '@elfin/core';
import { readBounded } from '@elfin/core/remote';

/** All of standard input, within the byte limit. Errors: INPUT_UNREADABLE on a terminal, IMAGE_TOO_MANY_BYTES. */
export async function readStdin(limit: number = DEFAULT_LIMITS.bytes): Promise<Uint8Array> {
  if (process.stdin.isTTY) throw new ElfinError('INPUT_UNREADABLE', 'Nothing is piped into standard input.');
  const stream = Readable.toWeb(process.stdin) as ReadableStream<Uint8Array>;
  const bytes = await readBounded(stream, limit);
  if (!bytes) throw new ElfinError('IMAGE_TOO_MANY_BYTES', `Standard input has more than the ${limit} bytes allowed.`);
  return bytes;
}

/** All bytes to standard output. Errors: OUTPUT_UNWRITABLE on a terminal, or when the reader goes away. */
export async function writeStdout(bytes: Uint8Array): Promise<void> {
  if (process.stdout.isTTY)
    throw new ElfinError('OUTPUT_UNWRITABLE', 'An image is not for a terminal: redirect it, or give -o.');
  await new Promise<void>((resolve, reject) => {
    const fail = (cause: Error) =>
      reject(new ElfinError('OUTPUT_UNWRITABLE', 'Standard output was closed.', { cause }));
    process.stdout.once('error', fail);
    process.stdout.write(bytes, (error) => (error ? fail(error) : resolve()));
  });
}
