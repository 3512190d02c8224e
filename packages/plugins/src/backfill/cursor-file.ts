import { readFile, rename, writeFile } from 'node:fs/promises';
import { ElfinError } from '@elfin/core';
import { z } from 'zod';
import type { BackfillCursor, BackfillState } from './backfill.ts';

const State = z.strictObject({
  bucket: z.string(),
  prefix: z.string(),
  digest: z.string().optional(),
  after: z.string().optional(),
  failed: z.array(z.string()),
  complete: z.boolean(),
});

/**
 * Keeps a backfill's state in a file, written beside and renamed: a crash leaves the old state or the new.
 * Errors: CONFIG_INVALID where the file holds something else, OUTPUT_UNWRITABLE.
 */
export function cursorFile(path: string): BackfillCursor {
  return {
    async load() {
      let text: string;
      try {
        text = await readFile(path, 'utf8');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
        throw new ElfinError('INPUT_UNREADABLE', `The cursor file ${path} cannot be read; check its rights.`, {
          cause: error,
        });
      }
      try {
        return State.parse(JSON.parse(text)) as BackfillState;
      } catch (cause) {
        throw new ElfinError('CONFIG_INVALID', `${path} is no cursor of a backfill; name another file or remove it.`, {
          cause,
        });
      }
    },
    async save(state) {
      try {
        await writeFile(`${path}.part`, `${JSON.stringify(state)}\n`);
        await rename(`${path}.part`, path);
      } catch (cause) {
        throw new ElfinError('OUTPUT_UNWRITABLE', `The cursor file ${path} cannot be written; check its folder.`, {
          cause,
        });
      }
    },
  };
}
