import { link, open, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ElfinError, isElfinError } from '../base/errors.ts';

/** How a file is written. */
export interface WriteOptions {
  /** Whether a file that exists is replaced; it is OUTPUT_EXISTS otherwise. */
  readonly force?: boolean;
}

/** Refuses, before any work is done, what `writeAtomically` would refuse after it. Errors: OUTPUT_EXISTS, OUTPUT_UNWRITABLE. */
export async function checkWritable(path: string, { force = false }: WriteOptions = {}): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory()) throw new ElfinError('OUTPUT_UNWRITABLE', `${path} is a folder; name a file.`);
  if (found && !force) throw exists(path);
  const probe = temporary(path);
  await open(probe, 'wx').then(
    async (file) => {
      await file.close();
      await rm(probe, { force: true });
    },
    (error) => {
      throw unwritable(path, error);
    },
  );
}

/** Writes a file so that it appears whole or not at all. Errors: OUTPUT_EXISTS, OUTPUT_UNWRITABLE. */
export async function writeAtomically(
  path: string,
  bytes: Uint8Array,
  { force = false }: WriteOptions = {},
): Promise<void> {
  const part = temporary(path);
  try {
    const file = await open(part, 'wx');
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    if (force) await rename(part, path);
    else await putWhereNothingIs(part, path);
  } catch (error) {
    throw isElfinError(error) ? error : unwritable(path, error);
  } finally {
    await rm(part, { force: true });
  }
}

/** A rename replaces; a link does not, even if another program was faster. */
async function putWhereNothingIs(part: string, path: string): Promise<void> {
  try {
    await link(part, path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') throw exists(path);
    // FAT and some network folders know no links: there a small gap between look and rename has to do.
    if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'ENOSYS') throw error;
    if (await stat(path).catch(() => undefined)) throw exists(path);
    await rename(part, path);
  }
}

function temporary(path: string): string {
  // Without the file's own name, which may be as long as names can be.
  return join(dirname(path), `.${crypto.randomUUID()}.part`);
}

function exists(path: string): ElfinError {
  return new ElfinError('OUTPUT_EXISTS', `${path} exists already; ask for it to be replaced, or choose another name.`);
}

function unwritable(path: string, cause: unknown): ElfinError {
  const { code, message } = cause as NodeJS.ErrnoException;
  return new ElfinError(
    'OUTPUT_UNWRITABLE',
    `${path} cannot be written (${code ?? message}); check the folder, its rights and its free space.`,
    { cause },
  );
}
