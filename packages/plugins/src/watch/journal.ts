import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ElfinError } from '@elfin/core';

/** Events on disk from the moment that they are taken until they are done. */
export interface Journal {
  readonly folder: string;
  /** Resolves when the event would survive a power cut. Errors: OUTPUT_UNWRITABLE. */
  append(event: unknown): Promise<void>;
  /** Names of the events that are still to be done, oldest first, those of earlier processes included. */
  pending(): Promise<readonly string[]>;
  /** Undefined where it has been done meanwhile, by another process on the same folder. Throws SyntaxError for no JSON. */
  read(name: string): Promise<unknown>;
  /** Forgets an event that is done. */
  done(name: string): Promise<void>;
  /** Sets an event aside that no retry will mend, with its reason beside it. */
  bury(name: string, reason: unknown): Promise<void>;
  /** Calls back with each name appended from now on. */
  onAppend(listener: (name: string) => void): void;
}

/** Milliseconds since the epoch at which an event of this name was taken. */
export const takenAt = (name: string): number => Number.parseInt(name.split('-')[0] ?? '', 36);

const ENDING = '.json';

/**
 * Opens a journal: a folder with a file an event in `pending`, and what could not be done in `dead`. Files are written
 * beside, synced, then renamed, and the folder is synced: a crash leaves a whole event or none.
 *
 * @throws OUTPUT_UNWRITABLE where the folder cannot be made.
 */
export async function openJournal(folder: string): Promise<Journal> {
  const pending = join(folder, 'pending');
  const dead = join(folder, 'dead');
  const listeners: ((name: string) => void)[] = [];
  let count = 0;
  await writing(folder, async () => {
    await mkdir(pending, { recursive: true });
    await mkdir(dead, { recursive: true });
  });
  const list = async () => (await readdir(pending)).filter((name) => name.endsWith(ENDING)).sort();
  const ignoreMissing = (error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  };
  return {
    folder,
    pending: list,
    onAppend: (listener) => listeners.push(listener),
    async append(event) {
      // In order of arrival: time, then a counter within one process.
      const order = `${Date.now().toString(36).padStart(9, '0')}-${(count++).toString(36).padStart(6, '0')}`;
      const name = `${order}-${randomUUID().slice(0, 8)}${ENDING}`;
      await writing(folder, async () => {
        const beside = join(pending, `${name}.part`);
        const file = await open(beside, 'wx');
        try {
          await file.writeFile(JSON.stringify(event));
          await file.sync();
        } finally {
          await file.close();
        }
        await rename(beside, join(pending, name));
        await syncFolder(pending);
      });
      for (const listener of listeners) listener(name);
    },
    async read(name) {
      const text = await readFile(join(pending, name), 'utf8').catch(ignoreMissing);
      return text === undefined ? undefined : (JSON.parse(text) as unknown);
    },
    done: (name) => rm(join(pending, name), { force: true }),
    async bury(name, reason) {
      await writeFile(join(dead, `${name}.reason`), JSON.stringify(reason, null, 2));
      await rename(join(pending, name), join(dead, name)).catch(ignoreMissing);
    },
  };
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function writing<T>(folder: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const message = `The journal in ${folder} cannot be written (${(cause as Error).message}); check the disk and its rights.`;
    throw new ElfinError('OUTPUT_UNWRITABLE', message, { cause });
  }
}
