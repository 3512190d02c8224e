import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { sha256 } from '@elfin/core';
import type { ObjectStore } from '@elfin/storage';

/** Photos in a folder, for one process: what a store has to promise, in as few lines as possible. */
export function createFolderStorage(root: string): ObjectStore {
  const tails = new Map<string, Promise<unknown>>();
  // Looking and writing must be one step: calls for one key wait for each other.
  const alone = async <T>(key: string, work: () => Promise<T>): Promise<T> => {
    const turn = (tails.get(key) ?? Promise.resolve()).then(work, work);
    tails.set(key, turn);
    return turn;
  };
  const read = async (key: string) => {
    const bytes = await readFile(join(root, `${key}.bin`)).catch(() => undefined);
    if (!bytes) return undefined;
    const { type, metadata } = JSON.parse(await readFile(join(root, `${key}.json`), 'utf8'));
    return { bytes, head: { etag: await sha256(bytes), size: bytes.length, type, metadata } };
  };
  return {
    head: async (key) => (await read(key))?.head,
    async get(key, { ifMatch } = {}) {
      const found = await read(key);
      if (!found) return undefined;
      if (ifMatch !== undefined && ifMatch !== found.head.etag) return 'changed';
      return { ...found.head, body: new Blob([found.bytes]).stream() };
    },
    put: (key, input, { ifAbsent, ifMatch, type, metadata = {} } = {}) =>
      alone(key, async () => {
        const before = await read(key);
        if (ifAbsent && before) return 'exists';
        if (ifMatch !== undefined && ifMatch !== before?.head.etag) return 'conflict';
        const bytes = new Uint8Array(await new Response(input as BodyInit).arrayBuffer());
        await mkdir(dirname(join(root, key)), { recursive: true });
        await writeFile(join(root, `${key}.json`), JSON.stringify({ type, metadata }));
        await writeFile(join(root, `${key}.bin`), bytes);
        return { etag: await sha256(bytes) };
      }),
    delete: (key, { ifMatch } = {}) =>
      alone(key, async () => {
        if (ifMatch !== undefined && ifMatch !== (await read(key))?.head.etag) return false;
        for (const ending of ['bin', 'json']) await rm(join(root, `${key}.${ending}`), { force: true });
        return true;
      }),
    async list(prefix) {
      const files = await readdir(root, { recursive: true, withFileTypes: true });
      const keys = files
        .filter((file) => file.isFile() && file.name.endsWith('.bin'))
        .map((file) => relative(root, join(file.parentPath, file.name)).slice(0, -'.bin'.length))
        .filter((key) => key.startsWith(prefix))
        .sort();
      const sizes = await Promise.all(keys.map(async (key) => (await stat(join(root, `${key}.bin`))).size));
      const objects = await Promise.all(
        keys.map(async (key, index) => ({
          key,
          etag: (await read(key))!.head.etag,
          size: sizes[index]!,
          metadata: {},
        })),
      );
      return { objects };
    },
  };
}
