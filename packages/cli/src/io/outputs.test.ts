import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isUrl, nameOfUrl } from './kinds.ts';
import { type OutputFlags, planOutputs } from './outputs.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'elfin-outputs-'));
  await mkdir(join(folder, 'photos'));
  for (const name of ['a.jpg', 'a.png', 'a.restored.jpg', 'b.jpg']) await writeFile(join(folder, 'photos', name), '');
  await symlink('photos', join(folder, 'link'));
});
afterAll(() => rm(folder, { recursive: true }));

function plan(names: readonly string[], wishes: Partial<OutputFlags> = {}, searched = false) {
  const inputs = names.map((name) => ({
    path: name === '-' || isUrl(name) ? name : join(folder, 'photos', name),
    kind: name === '-' ? ('stdin' as const) : isUrl(name) ? ('url' as const) : ('file' as const),
    relative: isUrl(name) ? nameOfUrl(name) : name,
    searched,
  }));
  return planOutputs(inputs, { output: undefined, format: undefined, ...wishes });
}

test('pictures that go along lie beside the result', async () => {
  const [target] = (await plan(['a.jpg'], { compare: true, map: true })).targets.values();
  const stem = join(folder, 'photos', 'a.restored');
  expect(target).toEqual({
    path: `${stem}.jpg`,
    format: 'jpeg',
    comparison: `${stem}.compare.jpg`,
    map: `${stem}.map.png`,
  });
});

test('inputs that differ in their extensions alone keep them; what would still share a file is refused, and no more', async () => {
  const output = join(folder, 'out');
  const names = async (...given: Parameters<typeof plan>) =>
    [...(await plan(...given)).targets.values()].map(({ path }) => relative(output, path));
  expect(await names(['a.jpg', 'a.png'], { output })).toEqual(['a.jpg', 'a.png']);
  expect(await names(['a.jpg', 'a.png', 'b.jpg'], { output, format: 'webp' })).toEqual([
    'a.jpg.webp',
    'a.png.webp',
    'b.webp',
  ]);
  expect(await names(['a.jpg', 'a.png'], { output, compare: true })).toEqual(['a.jpg.jpg', 'a.png.png']);
  const twice = [0, 1].map((n) => ({
    path: join(folder, `${n}`, 'a.jpg'),
    kind: 'file' as const,
    relative: 'a.jpg',
    searched: false,
  }));
  const { targets, refused } = await planOutputs([...twice, { ...twice[0]!, path: 'b.jpg', relative: 'b.jpg' }], {
    output,
    format: undefined,
  });
  expect([...targets.keys()].map(({ path }) => path)).toEqual([twice[0]!.path, 'b.jpg']);
  expect([...refused].map(([{ path }, { code, message }]) => ({ path, code, message }))).toEqual([
    {
      path: twice[1]!.path,
      code: 'OPTION_INVALID',
      message: expect.stringMatching(/^Both .*0.a\.jpg and .*1.a\.jpg would be written to .*out.a\.jpg/),
    },
  ]);
});

test('what a folder was searched for goes into a folder, be it one photo or many; so does nothing else', async () => {
  const output = join(folder, 'new');
  const [one] = (await plan(['a.jpg'], { output }, true)).targets.values();
  expect(one?.path).toBe(join(output, 'a.jpg'));
  await expect(plan(['a.jpg'], { output })).rejects.toThrow(/Cannot tell a format/);
});

test('a URL is written beside the caller, by its last segment', async () => {
  const path = async (url: string) => [...(await plan([url])).targets.values()][0]?.path;
  expect(await path('https://example.com/a/rainy%20day.jpg?w=3')).toBe('rainy day.restored.jpg');
  expect(await path('https://example.com/a/..%2F..%2Fetc%2Fpasswd')).toBe('____etc_passwd.restored.png');
  expect(await path('https://example.com/')).toBe('image.restored.png');
});

test('no result takes the place of an input, whatever way its path is written', async () => {
  const why = async (...given: Parameters<typeof plan>) => [...(await plan(...given)).refused.values()][0];
  for (const output of ['photos', 'link', 'photos/../link'].map((name) => join(folder, name))) {
    expect(await why(['b.jpg'], { output })).toMatchObject({
      code: 'OPTION_INVALID',
      message: expect.stringMatching(/b\.jpg would replace its source/),
    });
    expect((await plan(['b.jpg'], { output, format: 'png' })).targets.size).toBe(1);
  }
  expect((await why(['a.jpg', 'a.restored.jpg']))?.message).toMatch(/a\.restored\.jpg, which is to be restored itself/);
});

test('nothing goes along with standard output', async () => {
  await expect(plan(['-'], { compare: true })).rejects.toThrow(/--compare writes a file/);
  await expect(plan(['a.jpg'], { output: '-', map: true })).rejects.toThrow(/--map writes a file/);
  expect((await plan(['-'], { output: join(folder, 'out.png'), map: true })).targets.size).toBe(1);
});
