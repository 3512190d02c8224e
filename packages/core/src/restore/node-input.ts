import { open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { ElfinError, isElfinError, throwIfAborted } from '../base/errors.ts';
import { checkBytes } from '../image/limits.ts';
import { readBytes } from './input.ts';

export interface LocationOptions {
  /** Most bytes. */
  readonly limit: number;
  /** Milliseconds that a server may take, from the request to the last byte. */
  readonly timeout: number;
  readonly signal?: AbortSignal;
}

/**
 * The bytes behind a path, a `file:` URL or an `http(s):` URL.
 * Errors: INPUT_UNREADABLE, IMAGE_TOO_MANY_BYTES, NETWORK_FAILED, OPTION_INVALID, ABORTED.
 */
export async function readLocation(location: string | URL, options: LocationOptions): Promise<Uint8Array> {
  throwIfAborted(options.signal);
  // A path may begin with one letter and a colon (Windows); a scheme has more.
  const isUrl = typeof location !== 'string' || /^[a-z][a-z0-9+.-]+:\/\//i.test(location);
  if (!isUrl) return readFile(location, options);
  const url = parseUrl(location);
  if (url.protocol === 'file:') return readFile(pathOf(url), options);
  if (url.protocol === 'http:' || url.protocol === 'https:') return download(url, options);
  throw new ElfinError(
    'OPTION_INVALID',
    `${url.protocol} URLs are not read; give a path or a file:, http: or https: URL.`,
  );
}

function parseUrl(location: string | URL): URL {
  try {
    return new URL(location);
  } catch (cause) {
    throw new ElfinError('OPTION_INVALID', `"${String(location).slice(0, 200)}" is not a URL.`, { cause });
  }
}

/** The path that a `file:` URL names. Errors: OPTION_INVALID, as for another host's file. */
export function pathOf(url: URL): string {
  try {
    return fileURLToPath(url);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ElfinError('OPTION_INVALID', `${url.href.slice(0, 200)} names no file here: ${reason}.`, { cause });
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'it does not exist',
  EACCES: 'you may not read it',
  EPERM: 'you may not read it',
  EISDIR: 'it is a folder',
  ENOTDIR: 'a part of its path is not a folder',
  ENAMETOOLONG: 'its name is too long',
  ELOOP: 'its links go in a circle',
  EMFILE: 'too many files are open',
};

async function readFile(path: string, { limit, signal }: LocationOptions): Promise<Uint8Array> {
  try {
    const file = await open(path);
    try {
      const { size } = await file.stat();
      checkBytes(size, limit);
      // Read as a stream all the same: pipes and devices have no size, and a file may be growing.
      const stream = Readable.toWeb(file.createReadStream({ autoClose: false, highWaterMark: 1024 * 1024 }));
      return await readBytes(stream as ReadableStream<Uint8Array>, limit, signal);
    } finally {
      await file.close();
    }
  } catch (error) {
    const cause = isElfinError(error) && error.code === 'INPUT_UNREADABLE' ? error.cause : error;
    if (isElfinError(cause)) throw cause;
    const { code = '', message } = cause as NodeJS.ErrnoException;
    throw new ElfinError('INPUT_UNREADABLE', `${path} cannot be read: ${REASONS[code] ?? message}.`, { cause });
  }
}

async function download(url: URL, { limit, timeout, signal }: LocationOptions): Promise<Uint8Array> {
  const late = AbortSignal.timeout(timeout);
  const either = signal ? AbortSignal.any([signal, late]) : late;
  const from = `${url.host}${url.pathname}`.slice(0, 200);
  const failed = (what: string, cause?: unknown) => new ElfinError('NETWORK_FAILED', `${from} ${what}.`, { cause });
  try {
    const response = await fetch(url, { signal: either });
    if (!response.ok || !response.body) {
      await response.body?.cancel();
      if (response.status >= 500 || response.status === 429) throw failed(`answered with status ${response.status}`);
      throw new ElfinError('INPUT_UNREADABLE', `${from} answered with status ${response.status}; check the URL.`);
    }
    const length = Number(response.headers.get('content-length'));
    if (length > limit) {
      await response.body.cancel();
      checkBytes(length, limit);
    }
    return await readBytes(response.body, limit, either);
  } catch (error) {
    throwIfAborted(signal);
    if (late.aborted) throw failed(`did not answer in full within ${timeout} ms`, error);
    const broken = isElfinError(error) && error.code === 'INPUT_UNREADABLE' && error.cause !== undefined;
    if (isElfinError(error) && !broken) throw error;
    const cause = error instanceof Error ? (error.cause ?? error) : error;
    throw failed(`could not be fetched: ${cause instanceof Error ? cause.message : String(cause)}`, error);
  }
}
