import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createFolderSource } from './folder.ts';
import { readCapped, type Source, type SourceFound } from './source.ts';

let base = '';
let source: Source;
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'elfin-folder-'));
  await mkdir(join(base, 'root/sub'), { recursive: true });
  await writeFile(join(base, 'root/sub/a b.jpg'), 'inside');
  await writeFile(join(base, 'root/.env'), 'secret');
  await writeFile(join(base, 'secret.jpg'), 'outside');
  await symlink(join(base, 'secret.jpg'), join(base, 'root/link.jpg'));
  await symlink(base, join(base, 'root/up'));
  await symlink(join(base, 'root/sub/a b.jpg'), join(base, 'root/inner.jpg'));
  execFileSync('mkfifo', [join(base, 'root/pipe')]);
  source = createFolderSource({ root: join(base, 'root') });
});
afterEach(() => rm(base, { recursive: true }));

const read = (path: string, known = {}) => source.read({ kind: 'path', path }, { known });

test('reads files below the folder, through links that stay inside, and knows an unchanged one', async () => {
  for (const path of ['sub/a b.jpg', 'inner.jpg']) {
    const found = (await read(path)) as SourceFound;
    expect(new TextDecoder().decode(await readCapped(found, 100))).toBe('inside');
    expect(found.validator).toBeUndefined();
    await expect(read(path, found.revision)).resolves.toEqual({ state: 'same' });
  }
  const { revision } = (await read('inner.jpg')) as SourceFound;
  await writeFile(join(base, 'root/sub/a b.jpg'), 'changed');
  await expect(read('inner.jpg', revision)).resolves.toMatchObject({ state: 'found' });
});

test.each([
  'link.jpg',
  'up/secret.jpg',
  '../secret.jpg',
  'sub/../../secret.jpg',
  '.env',
  'sub',
  'pipe',
  'none.jpg',
  'sub/a b.jpg/x',
])('%s does not exist', async (path) => {
  await expect(read(path)).rejects.toMatchObject({ code: 'SOURCE_MISSING' });
});
