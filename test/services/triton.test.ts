import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { loadSharpCodec } from '@elfin/core/node';
import { graphName } from '@elfin/core/remote';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { elfin } from '../helpers/cli.ts';
import { apart, noise } from '../helpers/pictures.ts';
import { freePort, type Service, startService } from './helpers/process.ts';
import { python, TRITON } from './helpers/python.ts';

interface Config {
  readonly input: readonly (readonly [name: string, type: number, dims: readonly number[]])[];
}

const script = (name: string) => fileURLToPath(new URL(`./triton/${name}`, import.meta.url));
const main = fileURLToPath(new URL('../../packages/cli/src/main.ts', import.meta.url));
const codec = await loadSharpCodec();
let interpreter: string;
let folder: string;
let repository: string;
let worker: Service;
let workerAt: string;
let served: { models: string };
const services: Service[] = [];

beforeAll(async () => {
  interpreter = await python('triton', TRITON);
  folder = await mkdtemp(join(tmpdir(), 'elfin-triton-'));
  repository = join(folder, 'repository');
  await writeFile(join(folder, 'photo.png'), await codec.encode(noise(150, 130), { format: 'png' }));
  await writeFile(join(folder, 'deep.png'), await codec.encode(noise(90, 70, 3, 16), { format: 'png' }));
  for (const io of ['uint8', 'float']) {
    const exported = await elfin(['export', '--target', 'triton', '--io', io, '-o', repository]);
    expect(exported).toMatchObject({ code: 0 });
  }
  ({ service: worker, url: workerAt } = await startWorker());
  served = JSON.parse(
    worker
      .output()
      .split('\n')
      .find((line) => line.startsWith('{'))!,
  );
});
afterAll(async () => {
  for (const service of services.reverse()) await service.stop();
  await rm(folder, { recursive: true, force: true });
});

async function startWorker() {
  const port = await freePort();
  const service = await startService(
    process.execPath,
    ['--conditions=@elfin/source', main, 'worker', '--port', String(port), '--json'],
    {
      ready: (output) => output.includes('"url"'),
      timeoutMs: 300_000,
    },
  );
  services.push(service);
  return { service, url: `http://127.0.0.1:${port}` };
}

async function restoreBy(device: string, name: string, tiling: readonly string[], photo = 'photo.png') {
  const out = join(folder, `${name}.png`);
  const { code, stderr } = await elfin([
    'restore',
    join(folder, photo),
    '-o',
    out,
    '--device',
    device,
    '--force',
    ...tiling,
  ]);
  expect({ code, stderr }).toMatchObject({ code: 0 });
  return (await codec.decode(await readFile(out))).data;
}

test('the official client understands the worker, and Triton’s own protobuf the configuration', async () => {
  const model = graphName({ model: served.models.split(' ')[0]!, io: 'uint8', statistics: 'own', quadrants: 'own' });
  const { stdout } = await promisify(execFile)(interpreter, [
    script('client.py'),
    workerAt.replace('http://', ''),
    model,
    repository,
  ]);
  expect(JSON.parse(stdout)).toMatchObject({
    live: true,
    ready: true,
    model_ready: true,
    missing_ready: false,
    server: { name: 'elfin' },
    model: { name: model, inputs: [{ name: 'image', datatype: 'UINT8', shape: [-1, -1, -1, 3] }] },
    index: expect.arrayContaining([expect.objectContaining({ name: model, state: 'READY' })]),
    same: true,
    shape: [1, 48, 64, 3],
    id: '42',
    unknown: { message: expect.stringContaining('no-such-model') },
    odd: { message: expect.stringContaining('multiples of 16') },
    configs: { [model]: { input: [['image', 2, [-1, -1, 3]]] } },
  });
  // Both pixel types; of each the graph of a whole image and the one for a tile of it, which cannot be batched.
  const configs = Object.values((JSON.parse(stdout) as { configs: Record<string, Config> }).configs);
  expect(configs).toHaveLength(4);
  const batching = { max_batch_size: 8, max_queue_size: 256, override: true };
  for (const config of configs) {
    const inputs = config.input.map(([name]) => name);
    expect(config).toMatchObject({
      folder: true,
      backend: 'onnxruntime',
      ...(inputs.length === 1 ? batching : { max_batch_size: 0 }),
    });
    if (inputs.length > 1) expect(inputs).toEqual(['image', 'quadrants', 'statistics', 'core']);
  }
  expect(configs.filter(({ input }) => input.length === 1)).toHaveLength(2);
});

// Each restores the photo eight times by a process of its own, beside servers that share the machine.
describe('the same photo, here and elsewhere, within 1/255', { timeout: 900_000 }, () => {
  const ways = [
    ['--tiling', 'whole'],
    ['--tiling', 'local', '--tile', '64', '--overlap', '32'],
    ['--tiling', 'global', '--tile', '64', '--overlap', '32'],
  ] as const;

  /** 16 bits go as float32: a step of 8 bits would be 257 of theirs. */
  async function sameInDepth(device: string) {
    const [far, near] = [
      await restoreBy(device, 'far', ways[1], 'deep.png'),
      await restoreBy('cpu', 'near', ways[1], 'deep.png'),
    ];
    expect([far.BYTES_PER_ELEMENT, near.BYTES_PER_ELEMENT]).toEqual([2, 2]);
    expect(apart(far, near)).toBeLessThanOrEqual(8);
  }

  test('through a worker', async () => {
    for (const tiling of ways)
      expect(
        apart(await restoreBy(workerAt, 'worker', tiling), await restoreBy('cpu', 'here', tiling)),
      ).toBeLessThanOrEqual(1);
    await sameInDepth(workerAt);
  });

  test('through a real Triton that serves the exported repository', async () => {
    const port = await freePort();
    services.push(
      await startService(interpreter, [script('serve.py'), repository, String(port)], {
        ready: (output) => output.includes('READY'),
        timeoutMs: 300_000,
      }),
    );
    for (const tiling of ways)
      expect(
        apart(await restoreBy(`http://127.0.0.1:${port}`, 'triton', tiling), await restoreBy('cpu', 'here', tiling)),
      ).toBeLessThanOrEqual(1);
    await sameInDepth(`http://127.0.0.1:${port}`);
  });
});

test('fifty images while one of two workers is killed: none is lost, none is wrong', { timeout: 900_000 }, async () => {
  const doomed = await startWorker();
  const inputs = await Promise.all(
    Array.from({ length: 50 }, async (_, index) => {
      const path = join(folder, `many-${index}.png`);
      await writeFile(path, await codec.encode(noise(64, 48, 3, 8, index), { format: 'png' }));
      return path;
    }),
  );
  const out = join(folder, 'many');
  const words = ['restore', ...inputs, '-o', out, '--tiling', 'whole', '--json'];
  const running = elfin([...words, '--device', `${doomed.url},${workerAt}`, '--jobs', '4']);
  const seen = async () => (await readdir(out).catch(() => [])).length;
  // Amid the work: ten images are there, and most are not.
  await expect.poll(seen, { timeout: 300_000, interval: 20 }).toBeGreaterThanOrEqual(10);
  expect(await seen()).toBeLessThan(40);
  doomed.service.child.kill('SIGKILL');
  const { code, stdout } = await running;
  expect({ code, ...JSON.parse(stdout.toString()), images: undefined }).toEqual({
    code: 0,
    restored: 50,
    failed: 0,
    leftOut: 0,
    images: undefined,
  });
  const here = join(folder, 'many-here');
  expect((await elfin([...words.slice(0, -5), '-o', here, '--tiling', 'whole'])).code).toBe(0);
  for (let index = 0; index < 50; index += 1) {
    const [one, other] = await Promise.all(
      [out, here].map(async (where) => (await codec.decode(await readFile(join(where, `many-${index}.png`)))).data),
    );
    expect(apart(one!, other!)).toBeLessThanOrEqual(1);
  }
});
