import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { generated } from '../scripts/sections.ts';

const read = (path: string) => readFile(new URL(`../../../${path}`, import.meta.url), 'utf8');

test('the generated sections of the docs are those of the tables that run', async () => {
  for (const [path, document] of await generated(read)) {
    expect(await read(path), `${path}: run node --conditions=@elfin/source packages/edge/scripts/docs.ts`).toBe(
      document,
    );
  }
});
