import { constants } from 'node:fs';
import { open, readdir, realpath } from 'node:fs/promises';
import { join, resolve, sep } from 'node:path';
import { Readable } from 'node:stream';
import { ElfinError } from '@elfin/core';
import type { Source } from './source.ts';

/**
 * Reads paths below one folder. A link is followed only where it ends inside the folder, and hidden files do not exist.
 * Errors: SOURCE_MISSING, SOURCE_FAILED.
 */
export function createFolderSource(options: { readonly root: string }): Source {
  const root = realpath(resolve(options.root));
  const missing = (cause?: unknown) => new ElfinError('SOURCE_MISSING', 'The source does not exist.', { cause });
  return {
    async read(name, request = {}) {
      if (name.kind !== 'path') throw new ElfinError('SOURCE_FORBIDDEN', 'The source is no path.');
      if (name.path.split('/').some((segment) => segment.startsWith('.'))) throw missing();
      const folder = await root.catch((cause) => {
        throw new ElfinError('SOURCE_FAILED', 'The server’s source folder does not exist.', { cause });
      });
      const path = await realpath(join(folder, ...name.path.split('/'))).catch((cause) => {
        throw missing(cause);
      });
      if (!path.startsWith(folder.endsWith(sep) ? folder : folder + sep)) throw missing();
      // Non-blocking: opening a named pipe would otherwise hold one of the few file threads for ever.
      const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((cause) => {
        throw missing(cause);
      });
      const stat = await file.stat({ bigint: true });
      // Weak: a file may change twice within the clock's tick, so it says "look again", never "these very bytes".
      const etag = `W/"${stat.mtimeNs}-${stat.size}-${stat.ino}"`;
      if (!stat.isFile() || request.known?.etag === etag) {
        await file.close();
        if (!stat.isFile()) throw missing();
        return { state: 'same' };
      }
      const stream = file.createReadStream({ highWaterMark: 1 << 20 });
      return {
        state: 'found',
        body: Readable.toWeb(stream) as ReadableStream<Uint8Array>,
        size: Number(stat.size),
        revision: { etag },
        pinned: false,
      };
    },
  };
}

const PHOTO = /\.(jpe?g|png|webp|avif|tiff?)$/i;

/** Names of photos directly in a folder, at most `most` of them, in order. Empty where there is no such folder. */
export async function listPhotos(root: string, most: number): Promise<string[]> {
  const entries = await readdir(resolve(root), { withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isFile() && !entry.name.startsWith('.') && PHOTO.test(entry.name))
    .map(({ name }) => name)
    .sort()
    .slice(0, most);
}
