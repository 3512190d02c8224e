import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type OutputWishes, planOutputs } from './outputs.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'elfin-outputs-'));
  await mkdir(join(folder, 'photos'));
  for (const name of ['a.jpg', 'a.png', 'a.restored.jpg', 'b.jpg']) await writeFile(join(folder, 'photos', name), '');
  await symlink('photos', join(folder, 'link'));
});
afterAll(() => rm(folder, { recursive: true }));

function plan(names: readonly string[], wishes: Partial<OutputWishes> = {}) {
  const inputs = names.map((name) => ({ path: name === '-' ? name : join(folder, 'photos', name), relative: name }));
  return planOutputs(inputs, { output: undefined, format: undefined, ...wishes });
}

test('pictures that go along lie beside the result', async () => {
  const [target] = (await plan(['a.jpg'], { compare: true, map: true })).values();
  const stem = join(folder, 'photos', 'a.restored');
  expect(target).toEqual({
    path: `${stem}.jpg`,
    format: 'jpeg',
    comparison: `${stem}.compare.jpg`,
    map: `${stem}.map.png`,
  });
});

test('two inputs never share a file, neither the result nor what goes along', async () => {
  const output = () => join(folder, 'out');
  expect((await plan(['a.jpg', 'a.png'], { output: output() })).size).toBe(2);
  await expect(plan(['a.jpg', 'a.png'], { output: output(), format: 'webp' })).rejects.toThrow(/Both .*out.a\.webp/);
  const both = plan(['a.jpg', 'a.png'], { output: output(), compare: true });
  await expect(both).rejects.toMatchObject({ code: 'OPTION_INVALID' });
  await expect(both).rejects.toThrow(/a\.jpg and .*a\.png would be written to .*a\.compare\.jpg/);
});

test('no result takes the place of an input, whatever way its path is written', async () => {
  for (const output of ['photos', 'link', 'photos/../link'].map((name) => join(folder, name))) {
    await expect(plan(['b.jpg'], { output })).rejects.toMatchObject({ code: 'OPTION_INVALID' });
    await expect(plan(['b.jpg'], { output })).rejects.toThrow(/b\.jpg would replace its source/);
    expect((await plan(['b.jpg'], { output, format: 'png' })).size).toBe(1);
  }
  await expect(plan(['a.jpg', 'a.restored.jpg'])).rejects.toThrow(/a\.restored\.jpg, which is to be restored itself/);
});

test('nothing goes along with standard output', async () => {
  await expect(plan(['-'], { compare: true })).rejects.toThrow(/--compare writes a file/);
  await expect(plan(['a.jpg'], { output: '-', map: true })).rejects.toThrow(/--map writes a file/);
  expect((await plan(['-'], { output: join(folder, 'out.png'), map: true })).size).toBe(1);
});
