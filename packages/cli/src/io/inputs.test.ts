import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { expandInputs } from './inputs.ts';
import { filesOf, type OutputFlags, planOutputs } from './outputs.ts';

let folder = '';
const here = process.cwd();
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'elfin-inputs-'));
  process.chdir(folder);
});
afterEach(async () => {
  process.chdir(here);
  await rm(folder, { recursive: true });
});

async function put(...files: string[]): Promise<void> {
  for (const file of files) {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, '');
  }
}

async function found(word: string, output?: string) {
  const { inputs, leftOut } = await expandInputs([word], output);
  return { inputs: inputs.map(({ path }) => path), leftOut };
}

test.each([
  ['.', {}],
  ['.', { output: 'restored/' }],
  ['.', { output: join('sub', 'restored'), format: 'webp' }],
  ['.', { format: 'png' }],
  ['**/*.jpg', { output: 'restored/' }],
  ['*.*', {}],
] as const)('what %s %j leaves is no input of the next run', async (word, wishes) => {
  await put('a.jpg', 'b.png', 'sub/c.JPG', 'sub/holiday.map.png');
  const plan = async () => {
    const { inputs, leftOut } = await expandInputs([word], 'output' in wishes ? wishes.output : undefined);
    const all: OutputFlags = { output: undefined, format: undefined, compare: true, map: true, ...wishes };
    const files = [...(await planOutputs(inputs, all)).targets].flatMap(([{ path }, target]) => [
      path,
      ...filesOf(target),
    ]);
    return { files: files.map((file) => relative(folder, file)), leftOut };
  };
  const first = await plan();
  await put(...first.files);
  const second = await plan();
  expect(second.files).toEqual(first.files);
  expect(first.leftOut).toBe(0);
  if (word === '.') expect(second.leftOut).toBe(first.files.length * 0.75);
});

test('names alone make no result: its source has to be there, and what is named is taken', async () => {
  await put('a.restored.jpg', 'b.compare.jpg', 'c.map.png', 'sub/b.jpg', 'd.jpg', 'd.compare.png');
  const all = ['a.restored.jpg', 'b.compare.jpg', 'c.map.png', 'd.compare.png', 'd.jpg', join('sub', 'b.jpg')];
  expect(await found('.')).toEqual({ inputs: all, leftOut: 0 });
  await put('a.restored.restored.jpg', 'd.restored.compare.jpg');
  expect(await found('.')).toEqual({ inputs: all, leftOut: 2 });
  expect(await found('*.restored.jpg')).toEqual({ inputs: ['a.restored.jpg'], leftOut: 1 });
  expect(await found('d.restored.compare.jpg')).toEqual({ inputs: ['d.restored.compare.jpg'], leftOut: 0 });
  const { inputs, leftOut } = await expandInputs(['.', 'd.restored.compare.jpg']);
  expect([inputs.length, leftOut]).toEqual([all.length + 1, 1]);
});

test('results may go where the sources lie', async () => {
  await put('photos/a.jpg');
  const inputs = [join('photos', 'a.jpg')];
  for (const output of ['photos/', '.', '-']) expect(await found('photos', output)).toEqual({ inputs, leftOut: 0 });
  expect(await found('photos/*.jpg', 'photos')).toEqual({ inputs: ['photos/a.jpg'], leftOut: 0 });
});

test('a folder of nothing but results says so', async () => {
  await put('restored/a.jpg');
  await expect(found('.', 'restored')).rejects.toMatchObject({
    code: 'INPUT_UNREADABLE',
    message: expect.stringContaining('nothing but results of earlier runs'),
  });
});
