import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { checkWritable, writeAtomically } from './atomic.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'elfin-atomic-'));
});
afterAll(() => rm(folder, { recursive: true }));

it.each([
  ['short', 'a.png'],
  ['as long as names can be', `${'n'.repeat(251)}.png`],
  ['of letters of three bytes', `${'雨'.repeat(83)}.png`],
  ['of letters of four bytes', `${'𠮷'.repeat(62)}.png`],
])('writes a file whose name is %s, and leaves nothing beside it', async (_, name) => {
  const path = join(folder, name);
  await checkWritable(path);
  await writeAtomically(path, Uint8Array.of(1, 2, 3));
  expect([...(await readFile(path))]).toEqual([1, 2, 3]);
  await expect(writeAtomically(path, Uint8Array.of(4))).rejects.toMatchObject({ code: 'OUTPUT_EXISTS' });
  await writeAtomically(path, Uint8Array.of(4), { force: true });
  expect([...(await readFile(path))]).toEqual([4]);
  expect(await readdir(folder)).toEqual([name]);
  await rm(path);
});
