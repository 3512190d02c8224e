import { rmSync } from 'node:fs';
import { type FileHandle, mkdtemp, open, rm, statfs, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ElfinError } from '../base/errors.ts';

/** A file that exists only as long as somebody holds it. */
export interface TempFile {
  readonly handle: FileHandle;
  /** A name under which other code of this process can open it. */
  readonly path: string;
  /** Bytes that its disk has left. */
  free(): Promise<number>;
  /** Closes and removes it; twice is harmless. */
  dispose(): Promise<void>;
}

/** Room that files of this process were promised and have not taken yet, so that two images do not count on the same. */
const promised = new Set<{ readonly directory: string; readonly bytes: number; readonly handle: FileHandle }>();

async function promisedIn(directory: string): Promise<number> {
  const open = [...promised].filter((one) => one.directory === directory);
  const left = open.map(async ({ bytes, handle }) => {
    // One that has just been closed has given its room back.
    const { size } = await handle.stat().catch(() => ({ size: bytes }));
    return Math.max(0, bytes - size);
  });
  return (await Promise.all(left)).reduce((sum, bytes) => sum + bytes, 0);
}

/** Folders to be removed should the process end without disposing. */
const left = new Set<string>();

function removeLeft(): void {
  for (const folder of left) rmSync(folder, { recursive: true, force: true });
}

/**
 * An empty file of its own in `directory` (default: the system's). On Linux its name is taken away at once and the path
 * leads through /proc to the open file: not even a killed process leaves pixels behind, only an empty folder. Elsewhere
 * it is removed by `dispose` or at exit. Throws OUTPUT_UNWRITABLE when the folder cannot be written or has less than
 * `bytes` free.
 * @param ahead bytes that another file of the same image will take later; for that one `ahead` is `promised`
 */
export async function createTempFile(
  name: string,
  bytes: number,
  directory: string = tmpdir(),
  ahead: number | 'promised' = 0,
): Promise<TempFile> {
  const wanted = ahead === 'promised' ? 0 : bytes + ahead;
  let folder: string | undefined;
  let handle: FileHandle | undefined;
  try {
    const free = await freeOf(directory);
    if (free < bytes || (wanted > 0 && free - (await promisedIn(directory)) < wanted)) {
      throw full(directory, Math.max(bytes, wanted));
    }
    folder = await mkdtemp(join(directory, 'elfin-'));
    if (left.size === 0) process.once('exit', removeLeft);
    left.add(folder);
    const path = join(folder, name);
    handle = await open(path, 'wx+', 0o600);
    if (process.platform === 'linux') {
      await rm(path);
      await symlink(`/proc/self/fd/${handle.fd}`, path);
    }
    const promise = { directory, bytes: wanted, handle };
    if (wanted > 0) promised.add(promise);
    const dispose = () => {
      promised.delete(promise);
      return remove(folder!, handle!);
    };
    return { handle, path, free: () => freeOf(directory), dispose };
  } catch (cause) {
    if (folder) await remove(folder, handle);
    throw diskError(cause, directory, bytes);
  }
}

async function freeOf(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory);
  return bavail * bsize;
}

async function remove(folder: string, handle?: FileHandle): Promise<void> {
  if (!left.has(folder)) return;
  left.delete(folder);
  if (left.size === 0) process.removeListener('exit', removeLeft);
  await handle?.close();
  await rm(folder, { recursive: true, force: true });
}

function full(directory: string, bytes: number): ElfinError {
  const megabytes = Math.ceil(bytes / 1e6);
  return new ElfinError(
    'OUTPUT_UNWRITABLE',
    `The folder for temporary files, ${directory}, has no room for the ${megabytes} MB of this image; free some or set TMPDIR.`,
    { data: { directory, bytes } },
  );
}

/** A failure to write temporary data, in our words; our own errors pass as they are. */
export function diskError(cause: unknown, directory: string, bytes: number): ElfinError {
  if (cause instanceof ElfinError) return cause;
  const { code, message } = cause as NodeJS.ErrnoException;
  if (['ENOSPC', 'EDQUOT', 'EFBIG'].includes(code ?? '') || /no space left|file too large|quota/i.test(message)) {
    const error = full(directory, bytes);
    return new ElfinError(error.code, error.message, { cause, data: error.data });
  }
  return new ElfinError(
    'OUTPUT_UNWRITABLE',
    `Temporary files cannot be written to ${directory} (${code ?? message}); set TMPDIR.`,
    {
      cause,
      data: { directory },
    },
  );
}
