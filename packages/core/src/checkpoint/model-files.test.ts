import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { seededModel } from '../../../../test/helpers/seeded-model.ts';
import { importCheckpoint, readSafetensors, writeSafetensors } from '../weights/index.ts';
import { loadModel, writeModel } from './model-files.ts';

let root: string;
let bytes: Uint8Array;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'elfin-model-'));
  const seeded = await seededModel('elf-lw', 'derain');
  bytes = await seeded.bytes();
});
afterAll(() => rm(root, { recursive: true }));

const imported = () => importCheckpoint(bytes, { task: 'derain', variant: 'mine', crop: 64 });

test('a written folder is loaded by path and by URL, and leaves no draft behind', async () => {
  const folder = join(root, 'deep', 'folder');
  const { manifest, weights } = await imported();
  await writeModel(folder, { manifest, weights });
  expect((await readdir(folder)).sort()).toEqual(['manifest.json', 'weights.safetensors']);
  for (const path of [folder, pathToFileURL(folder)]) {
    const model = await loadModel(path);
    expect(model.name).toBe(`derain-lw-mine-${manifest.sha256.slice(0, 12)}`);
    expect(model.manifest).toEqual(manifest);
    expect(readSafetensors(await model.bytes()).state.size).toBe(499);
  }
});

test('nothing is overwritten unless forced', async () => {
  const folder = join(root, 'twice');
  const model = await imported();
  await writeModel(folder, model);
  await expect(writeModel(folder, model)).rejects.toMatchObject({ code: 'OUTPUT_EXISTS' });
  await writeModel(folder, { ...model, manifest: { ...model.manifest, license: 'CC0-1.0' } }, { force: true });
  expect((await loadModel(folder)).manifest.license).toBe('CC0-1.0');
});

test('a file where the folder should be is refused', async () => {
  await writeFile(join(root, 'file'), '');
  await expect(writeModel(join(root, 'file'), await imported())).rejects.toMatchObject({ code: 'OUTPUT_UNWRITABLE' });
});

test('weights that changed since are refused', async () => {
  const folder = join(root, 'changed');
  await writeModel(folder, await imported());
  const path = join(folder, 'weights.safetensors');
  await writeFile(path, (await readFile(path)).subarray(0, -4));
  await expect((await loadModel(folder)).bytes()).rejects.toMatchObject({ code: 'MODEL_DIGEST_MISMATCH' });
});

test('a bare weights file is a model of its own', async () => {
  const path = join(root, 'bare.safetensors');
  await writeFile(
    path,
    writeSafetensors(readSafetensors(bytes).state, { metadata: { task: 'underwater', crop: '192' } }),
  );
  const model = await loadModel(path);
  expect(model.manifest).toMatchObject({ preset: 'elf-lw', task: 'underwater', crop: 192, variant: 'imported' });
  expect(readSafetensors(await model.bytes()).state.size).toBe(499);
  expect((await loadModel(path, { task: 'derain' })).manifest.task).toBe('derain');
});

test('what is no model is refused with the reason', async () => {
  await writeFile(join(root, 'photo.jpg'), Uint8Array.of(255, 216, 255, 224, 0, 16));
  for (const url of ['file://host/model', 'file:///a%2Fb', 'https://host/model']) {
    const refused = expect.objectContaining({ code: 'OPTION_INVALID' });
    await expect(loadModel(new URL(url))).rejects.toEqual(refused);
  }
  await symlink(join(root, 'loop'), join(root, 'loop'));
  const folder = join(root, 'no-weights');
  await writeModel(folder, await imported());
  await rm(join(folder, 'weights.safetensors'));
  await writeFile(join(folder, 'manifest.json.bak'), '');
  await expect(loadModel(join(root, 'nowhere'))).rejects.toMatchObject({
    code: 'MODEL_UNKNOWN',
    message: expect.stringMatching(/nowhere\. Nothing is there: give a folder/),
  });
  await expect(loadModel(root)).rejects.toMatchObject({
    code: 'MODEL_UNKNOWN',
    message: expect.stringMatching(/no manifest\.json/),
  });
  await expect(loadModel(join(root, 'photo.jpg'), { task: 'derain' })).rejects.toMatchObject({
    code: 'WEIGHTS_CORRUPT',
  });
  await writeFile(join(root, 'net.onnx'), Uint8Array.of(8, 8));
  await expect(loadModel(join(root, 'net.onnx'))).rejects.toMatchObject({ code: 'WEIGHTS_CORRUPT' });
  await expect(loadModel(join(root, 'loop'))).rejects.toMatchObject({ code: 'INPUT_UNREADABLE' });
  await expect((await loadModel(folder)).bytes()).rejects.toMatchObject({ code: 'INPUT_UNREADABLE' });
  await writeFile(join(folder, 'manifest.json'), '{"format": 1}');
  await expect(loadModel(folder)).rejects.toMatchObject({
    code: 'MANIFEST_INVALID',
    message: expect.stringMatching(/no-weights.manifest\.json: preset should be/),
  });
});
