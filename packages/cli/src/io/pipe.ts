import { closeSync, constants, openSync, readSync } from 'node:fs';
import { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { ElfinError, readBounded } from '@elfin/core';
import { printable } from './printable.ts';

/** Milliseconds that a pipe may stay silent: a program that computes its output for longer can write a file. */
const SILENCE_MS = 60_000;

/**
 * All bytes of a named pipe, such as `<(…)` of a shell gives. It is opened without waiting for a writer, since that wait could
 * neither be aborted nor ended. Errors: INPUT_UNREADABLE where nobody writes, IMAGE_TOO_MANY_BYTES, ABORTED.
 */
export async function readPipe(path: string, limit: number, signal: AbortSignal): Promise<Uint8Array> {
  const name = printable(path);
  const unreadable = (why: string, cause?: unknown) => new ElfinError('INPUT_UNREADABLE', `${name} ${why}`, { cause });
  const { fd, first } = openPipe(path, unreadable);
  // The socket closes the descriptor.
  const pipe = new Socket({ fd, readable: true, writable: false, signal });
  pipe.setTimeout(SILENCE_MS, () => pipe.destroy(unreadable(`has sent nothing for ${SILENCE_MS / 1000} s.`)));
  if (first) pipe.unshift(first);
  const bytes = await readBounded(Readable.toWeb(pipe) as ReadableStream<Uint8Array>, limit).catch((cause: unknown) => {
    if (signal.aborted) throw signal.reason;
    throw cause instanceof ElfinError ? cause : unreadable('cannot be read: it is closed.', cause);
  });
  if (!bytes) throw new ElfinError('IMAGE_TOO_MANY_BYTES', `${name} has more than the ${limit} bytes allowed.`);
  return bytes;
}

/** A pipe with what it holds at first: an end before any byte means that nobody writes, EAGAIN that somebody will. */
function openPipe(path: string, unreadable: (why: string, cause?: unknown) => ElfinError) {
  let fd: number | undefined;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const buffer = new Uint8Array(65_536);
    const length = readSync(fd, buffer, 0, buffer.length, null);
    if (length === 0) throw unreadable('is a pipe that nobody writes to: start the writer first.');
    return { fd, first: buffer.subarray(0, length) };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (fd !== undefined && code === 'EAGAIN') return { fd, first: undefined };
    if (fd !== undefined) closeSync(fd);
    throw error instanceof ElfinError ? error : unreadable(`cannot be read (${code ?? message}).`, error);
  }
}
