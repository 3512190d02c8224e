import { randomBytes } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { ElfinError, throwIfAborted } from '@elfin/core';
import { readAll, sliceOf, streamOf } from './bytes.ts';
import type { ObjectBody, ObjectHead, ObjectStore } from './object-store.ts';

/** After this long a lock's holder is taken for dead: it only ever holds one over a rename. */
const LOCK_STALE_MS = 10_000;
/** Access times are written at most this often, so that reads stay reads. */
const TOUCH_MS = 60_000;
const MAGIC = 'elfin1';

const isMissing = (error: unknown) => (error as NodeJS.ErrnoException).code === 'ENOENT';
const isPresent = (error: unknown) => (error as NodeJS.ErrnoException).code === 'EEXIST';

/** One file an object: a line of JSON, then the bytes. A rename replaces both at once, so no reader sees half an object. */
function pack(head: ObjectHead, bytes: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`${MAGIC} ${JSON.stringify(head)}\n`), bytes]);
}

function unpack(file: Buffer): { head: ObjectHead; bytes: Uint8Array } | undefined {
  const end = file.indexOf(10);
  if (end < 0 || file.toString('latin1', 0, MAGIC.length) !== MAGIC) return undefined;
  try {
    const head = JSON.parse(file.toString('utf8', MAGIC.length + 1, end)) as ObjectHead;
    const bytes = file.subarray(end + 1);
    // A disk that was full, or a crash before the blocks were written, leaves a short file: that is no object.
    return bytes.byteLength === head.size ? { head, bytes } : undefined;
  } catch {
    return undefined;
  }
}

/** Keys become paths whose every segment is a plain name on any file system; a key cannot also be another's folder. */
function toPath(root: string, key: string): string {
  const segments = key
    .split('/')
    .map((segment) => encodeURIComponent(segment).replace(/^\.|[*!'()~]/g, (c) => `%${c.charCodeAt(0).toString(16)}`));
  if (segments.some((segment) => segment === '' || segment.length > 200)) {
    throw new ElfinError(
      'STORE_FAILED',
      `The key "${key.slice(0, 80)}" has an empty segment, or one too long for a file name.`,
    );
  }
  return join(root, ...segments);
}

/**
 * Keeps objects in a folder, shared by any number of processes on one machine. Writes are atomic; the least recently used
 * objects leave once `maxBytes` is passed. Errors: STORE_FAILED.
 */
export function createFolderStore(options: {
  readonly root: string;
  readonly maxBytes?: number | undefined;
}): ObjectStore {
  const root = resolve(options.root);
  const maxBytes = options.maxBytes ?? 2 * 1024 ** 3;
  let total: number | undefined;
  let sweeping: Promise<void> | undefined;

  async function guard<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      if (cause instanceof ElfinError) throw cause;
      throw new ElfinError(
        'STORE_FAILED',
        'The result folder could not be read or written; check its space and rights.',
        { cause },
      );
    }
  }

  async function read(path: string): Promise<{ head: ObjectHead; bytes: Uint8Array } | undefined> {
    try {
      return unpack(await readFile(path));
    } catch (error) {
      if (isMissing(error) || (error as NodeJS.ErrnoException).code === 'EISDIR') return undefined;
      throw error;
    }
  }

  /** Runs `work` while no other process changes this key. */
  async function locked<T>(path: string, work: () => Promise<T>): Promise<T> {
    const lock = `${path}.lock~`;
    for (let attempt = 0; ; attempt++) {
      try {
        await (await open(lock, 'wx')).close();
        break;
      } catch (error) {
        if (!isPresent(error)) throw error;
        const age = await stat(lock).then(
          ({ mtimeMs }) => Date.now() - mtimeMs,
          () => 0,
        );
        if (age > LOCK_STALE_MS) {
          // Moved aside first: of two processes that both found it stale, one moves it and the other finds nothing to move.
          const aside = `${lock}${randomBytes(6).toString('hex')}~`;
          await rename(lock, aside).then(
            () => rm(aside, { force: true }),
            () => undefined,
          );
        } else await new Promise((wake) => setTimeout(wake, Math.min(50, 2 + attempt) * (0.5 + Math.random())));
      }
    }
    try {
      return await work();
    } finally {
      await rm(lock, { force: true });
    }
  }

  async function walk(): Promise<{ path: string; size: number; used: number }[]> {
    const entries = await readdir(root, { recursive: true, withFileTypes: true }).catch(() => []);
    const files = await Promise.all(
      entries
        .filter((entry) => entry.isFile())
        .map(async (entry) => {
          const path = join(entry.parentPath, entry.name);
          const info = await stat(path).catch(() => undefined);
          return info ? [{ path, size: info.size, used: Math.max(info.atimeMs, info.mtimeMs) }] : [];
        }),
    );
    return files.flat();
  }

  /** Counts what is really there (other processes write too) and, when over the limit, drops the oldest tenth and more. */
  async function sweep(): Promise<void> {
    const files = (await walk()).sort((a, b) => a.used - b.used);
    let sum = files.reduce((bytes, file) => bytes + file.size, 0);
    for (const { path, size, used } of files) {
      const left = path.endsWith('~') && Date.now() - used > LOCK_STALE_MS;
      if (!left && sum <= maxBytes * 0.9) continue;
      await rm(path, { force: true });
      sum -= size;
    }
    total = sum;
  }

  async function account(bytes: number): Promise<void> {
    total = total === undefined ? undefined : total + bytes;
    if (total !== undefined && total <= maxBytes) return;
    sweeping ??= sweep().finally(() => {
      sweeping = undefined;
    });
    await sweeping;
  }

  return {
    head: (key) => guard(async () => (await read(toPath(root, key)))?.head),

    get: (key, { ifMatch, range, signal } = {}) =>
      guard(async (): Promise<ObjectBody | 'changed' | undefined> => {
        throwIfAborted(signal);
        const path = toPath(root, key);
        const found = await read(path);
        if (!found) return undefined;
        if (ifMatch !== undefined && ifMatch !== found.head.etag) return 'changed';
        const now = Date.now();
        if (now - (found.head.modified ?? 0) > TOUCH_MS) {
          const info = await stat(path).catch(() => undefined);
          if (info && now - info.atimeMs > TOUCH_MS)
            await utimes(path, now / 1000, info.mtimeMs / 1000).catch(() => undefined);
        }
        return { ...found.head, body: streamOf(sliceOf(found.bytes, range)) };
      }),

    put: (key, body, { ifAbsent, ifMatch, type, metadata, signal } = {}) =>
      guard(async () => {
        const path = toPath(root, key);
        const bytes = await readAll(body, { signal });
        const etag = randomBytes(12).toString('hex');
        const head = {
          etag,
          size: bytes.byteLength,
          metadata: { ...metadata },
          modified: Date.now(),
          type,
        };
        const packed = pack(head, bytes);
        const temporary = `${path}.${etag}~`;
        await mkdir(dirname(path), { recursive: true });
        await account(packed.byteLength);
        try {
          await writeFile(temporary, packed, { flag: 'wx' });
          throwIfAborted(signal);
          return await locked(path, async () => {
            const present = ifAbsent || ifMatch !== undefined ? await read(path) : undefined;
            if (ifAbsent && present) return 'exists' as const;
            if (ifMatch !== undefined && present?.head.etag !== ifMatch) return 'conflict' as const;
            await rename(temporary, path);
            return { etag };
          });
        } finally {
          await rm(temporary, { force: true });
        }
      }),

    delete: (key, { ifMatch } = {}) =>
      guard(async () => {
        const path = toPath(root, key);
        if (ifMatch === undefined) {
          await rm(path, { force: true });
          return true;
        }
        if (!(await read(path))) return true;
        return locked(path, async () => {
          const present = await read(path);
          if (present && present.head.etag !== ifMatch) return false;
          await rm(path, { force: true });
          return true;
        });
      }),

    list: (prefix, cursor = '') =>
      guard(async () => {
        const files = await walk();
        const objects = await Promise.all(
          files
            .filter(({ path }) => !path.endsWith('~'))
            .map(async ({ path }) => {
              const key = relative(root, path).split(sep).map(decodeURIComponent).join('/');
              const found = key.startsWith(prefix) && key > cursor ? await read(path) : undefined;
              return found ? [{ key, ...found.head }] : [];
            }),
        );
        return { objects: objects.flat().sort((a, b) => (a.key < b.key ? -1 : 1)) };
      }),
  };
}
