import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describeElf, modelSize, type TASKS } from '@elfin/core';
import { loadModel } from '@elfin/core/node';
import { loadStateDict, readSafetensors } from '@elfin/core/weights';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createModels as createFetchedModels } from './index.ts';
import { CATALOGUE, createCatalogue, createModels } from './node.ts';

const root = new URL('..', import.meta.url);
const folders = readdirSync(root, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && /^[a-z]+-(lw|full)$/.test(entry.name))
  .map(({ name }) => name);

test('every folder is in the catalogue and nothing else', () => {
  expect(Object.keys(CATALOGUE).sort()).toEqual(folders.sort());
  expect(createModels().names).toEqual(Object.keys(CATALOGUE));
});

test.each(folders)('%s is whole: manifest, digest, finite weights of its preset, card', async (folder) => {
  const [task, size] = folder.split('-') as [(typeof TASKS)[number], 'lw' | 'full'];
  const model = await createModels().resolve(task, size);
  expect(model.manifest).toMatchObject({ task });
  expect(modelSize(model.manifest.preset)).toBe(size);
  const file = readSafetensors(await model.bytes());
  expect(new Set([...file.state.values()].map(({ dtype }) => dtype))).toEqual(
    new Set([model.manifest.dtype === 'float16' ? 'F16' : 'F32']),
  );
  const expected = describeElf(model.manifest.preset).parameters;
  expect(loadStateDict(file, expected).size).toBeGreaterThan(0);
  const card = readFileSync(new URL(`${folder}/README.md`, root), 'utf8');
  expect(card).toContain(model.name);
  for (const { name } of model.manifest.data) expect(card).toContain(name);
  expect((await loadModel(new URL(folder, root))).name).toBe(model.name);
});

test('a model that is not there is refused with those that are', async () => {
  const catalogue = createCatalogue({ 'derain-lw': CATALOGUE['derain-lw']! }, async () => new Uint8Array());
  await expect(catalogue.resolve('underwater', 'full')).rejects.toMatchObject({
    code: 'MODEL_UNKNOWN',
    message: 'There is no model underwater-full here. There are: derain-lw.',
  });
});

let server: Server;
let base: string;
const requests: string[] = [];
beforeAll(async () => {
  server = createServer((request, response) => {
    requests.push(request.url!);
    if (requests.length === 1) return void response.writeHead(503).end();
    const path = new URL(`.${request.url}`, root);
    const bytes = readFileSync(path);
    // The weights arrive with one byte changed.
    if (request.url!.endsWith('.safetensors')) bytes[bytes.length - 1]! ^= 1;
    response.end(bytes);
  });
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => new Promise((closed) => server.close(closed)));

test('over HTTP the weights wait until they are needed, a failure is not kept, a changed byte is noticed', async () => {
  const models = createFetchedModels({
    'derain-lw': {
      manifest: new URL('/derain-lw/manifest.json', base),
      weights: new URL('/derain-lw/weights.safetensors', base),
    },
  });
  await expect(models.resolve('derain', 'lw')).rejects.toMatchObject({ code: 'NETWORK_FAILED', retry: true });
  const model = await models.resolve('derain', 'lw');
  expect(await models.resolve('derain', 'lw')).toBe(model);
  expect(requests).toEqual(['/derain-lw/manifest.json', '/derain-lw/manifest.json']);
  await expect(model.bytes()).rejects.toMatchObject({ code: 'MODEL_DIGEST_MISMATCH' });
});

test('fetching files fails with the way out', async () => {
  await expect(createFetchedModels().resolve('derain', 'lw')).rejects.toMatchObject({
    message: expect.stringMatching(/In Node import @elfin\/models\/node/),
  });
});
