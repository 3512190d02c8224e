import { createRestorer, type PixelImage } from '@elfin/core';
import { createNodeRuntime } from '@elfin/core/node';
import { createRemoteRuntime, decodeInferResponse, encodeInferRequest, HEADER_LENGTH } from '@elfin/core/remote';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { seededModel } from '../../../../test/helpers/seeded-model.ts';
import { createWorker } from './app.ts';
import { type RunningWorker, serveWorker } from './node.ts';

const runtime = createNodeRuntime({ device: 'cpu' });
const model = await seededModel('elf-lw');
const NAME = `${model.name}.uint8`;
const options = { models: [model], runtime, maxSide: 256 };
let worker: RunningWorker;

beforeAll(async () => {
  worker = await serveWorker({ ...options, port: 0 });
});
afterAll(async () => {
  await worker.close();
  await runtime.dispose();
});

const ask = (path: string, init?: RequestInit) => fetch(worker.url + path, init);
const json = async (path: string, init?: RequestInit) => {
  const response = await ask(path, init);
  return { status: response.status, body: await response.json() };
};

describe('the protocol’s doors', () => {
  test('server, health and the index', async () => {
    expect(await json('/v2')).toMatchObject({
      status: 200,
      body: { name: 'elfin', extensions: expect.arrayContaining(['binary_tensor_data']) },
    });
    for (const path of ['/v2/health/live', '/v2/health/ready', `/v2/models/${NAME}/ready`, '/livez', '/readyz'])
      expect((await ask(path)).status).toBe(200);
    const { body } = await json('/v2/repository/index', { method: 'POST' });
    expect(body).toContainEqual({ name: NAME, version: '1', state: 'READY', reason: expect.any(String) });
  });

  test('a model’s metadata, and a 404 for weights that are not here', async () => {
    expect((await json(`/v2/models/${NAME}`)).body).toMatchObject({
      name: NAME,
      inputs: [{ name: 'image', datatype: 'UINT8', shape: [-1, -1, -1, 3] }],
    });
    expect(await json(`/v2/models/${NAME}/versions/1`)).toMatchObject({ status: 200 });
    for (const path of [
      `/v2/models/${NAME}/versions/2`,
      '/v2/models/other',
      '/v2/models/derain-lw-x-000000000000.uint8/ready',
    ])
      expect(await json(path)).toMatchObject({ status: 404, body: { error: expect.any(String) } });
  });

  test('JSON tensors in and out, as the protocol has them by default', async () => {
    const data = Array.from({ length: 16 * 16 * 3 }, (_, index) => index % 256);
    const { status, body } = await json(`/v2/models/${NAME}/infer`, {
      method: 'POST',
      body: JSON.stringify({
        id: '7',
        inputs: [{ name: 'image', datatype: 'UINT8', shape: [1, 16, 16, 3], data }],
        outputs: [{ name: 'restored' }],
      }),
    });
    expect({ status, ...body }).toMatchObject({
      status: 200,
      id: '7',
      model_name: NAME,
      outputs: [{ name: 'restored', datatype: 'UINT8', shape: [1, 16, 16, 3] }],
    });
    expect(body.outputs[0].data).toHaveLength(data.length);
  });

  test('metrics tell queue and compute apart', async () => {
    const text = await (await ask('/metrics')).text();
    for (const name of [
      'queue_seconds',
      'compute_seconds',
      'batch_size',
      'pixels_total',
      'requests_total',
      'queue_depth',
    ])
      expect(text).toContain(`elfin_worker_${name}`);
  });
});

describe('bad requests get a v2 error with the right status', () => {
  const infer = (body: BodyInit, headers: Record<string, string> = {}) =>
    json(`/v2/models/${NAME}/infer`, { method: 'POST', body, headers });
  const tensor = (shape: number[], datatype = 'UINT8', name = 'image') =>
    JSON.stringify({ inputs: [{ name, datatype, shape, data: new Array(shape.reduce((a, b) => a * b, 1)).fill(0) }] });
  const cases: [string, BodyInit, Record<string, string>, number][] = [
    ['not JSON', '{', {}, 400],
    ['a lying header length', '{}', { [HEADER_LENGTH]: '99' }, 400],
    ['more images than one run takes', tensor([5, 16, 16, 3]), {}, 400],
    ['a side that is no multiple of 16', tensor([1, 16, 17, 3]), {}, 400],
    ['a side beyond the limit', tensor([1, 16, 272, 3]), {}, 400],
    ['two channels', tensor([1, 16, 16, 2]), {}, 400],
    ['floats for bytes', tensor([1, 16, 16, 3], 'FP32'), {}, 400],
    ['an unknown input', tensor([1, 16, 16, 3], 'UINT8', 'picture'), {}, 400],
    [
      'an unknown output',
      JSON.stringify({ inputs: [JSON.parse(tensor([1, 16, 16, 3])).inputs[0]], outputs: [{ name: 'x' }] }),
      {},
      400,
    ],
    ['no body at all', '', {}, 400],
  ];
  test.each(cases)('%s', async (_, body, headers, status) => {
    expect(await infer(body, headers)).toMatchObject({ status, body: { error: expect.any(String) } });
  });

  test('a body over the budget, whatever its length claims', async () => {
    const { app, drain } = createWorker({ ...options, maxBytes: 1000 });
    const big = await app.request(`/v2/models/${NAME}/infer`, { method: 'POST', body: tensor([1, 16, 16, 3]) });
    expect(big.status).toBe(413);
    const chunked = new ReadableStream({
      pull(controller) {
        controller.enqueue(new Uint8Array(600));
      },
    });
    const endless = await app.request(`/v2/models/${NAME}/infer`, {
      method: 'POST',
      body: chunked,
      duplex: 'half',
    } as RequestInit);
    expect(endless.status).toBe(413);
    await drain();
  });

  test('a body that never ends in time', async () => {
    const { app, drain } = createWorker({ ...options, bodyMs: 50 });
    const stalled = new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array(1)) });
    const response = await app.request(`/v2/models/${NAME}/infer`, {
      method: 'POST',
      body: stalled,
      duplex: 'half',
    } as RequestInit);
    expect(response.status).toBe(408);
    await drain();
  });

  test('a wrong token, where one is set; health stays open', async () => {
    const { app, drain } = createWorker({ ...options, token: 'secret' });
    expect((await app.request('/v2')).status).toBe(401);
    expect((await app.request('/v2', { headers: { Authorization: 'Bearer wrong' } })).status).toBe(401);
    expect((await app.request('/v2', { headers: { Authorization: 'Bearer secret' } })).status).toBe(200);
    expect((await app.request('/readyz')).status).toBe(200);
    await drain();
    expect((await app.request('/readyz')).status).toBe(503);
  });

  test('an open address without a token is refused at start', async () => {
    await expect(serveWorker({ ...options, host: '0.0.0.0', port: 0 })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    });
  });
});

describe('the client and the worker together', () => {
  const photo: PixelImage = {
    width: 150,
    height: 130,
    channels: 3,
    data: Uint8Array.from({ length: 150 * 130 * 3 }, (_, index) => (index * 7919) % 253),
  };
  const models = { resolve: async () => model };

  test.each(['whole', 'local', 'global'] as const)(
    '%s: the remote result is within 1/255 of the local one',
    async (mode) => {
      const remote = createRestorer({ models, runtime: createRemoteRuntime({ endpoints: [worker.url] }) });
      const local = createRestorer({ models, runtime });
      const wanted = { task: 'derain', tiling: mode === 'whole' ? mode : { mode, tile: 64, overlap: 32 } } as const;
      const [far, near] = [await remote.restore(photo, wanted), await local.restore(photo, wanted)];
      const distances = Array.from(far.image.data, (value, index) => Math.abs(value - near.image.data[index]!));
      const worst = Math.max(...distances);
      expect(worst).toBeLessThanOrEqual(1);
      await Promise.all([remote.dispose(), local.dispose()]);
    },
  );

  test('tiles sent together share runs', async () => {
    const { app, drain } = createWorker({ ...options, maxBatch: 4, maxDelayMs: 60_000 });
    const image = { type: 'uint8', shape: [1, 32, 32, 3], data: new Uint8Array(32 * 32 * 3) } as const;
    const message = encodeInferRequest({
      inputs: [{ name: 'image', tensor: image }],
      outputs: [{ name: 'restored', binary: true }],
    });
    const answers = await Promise.all(
      Array.from({ length: 4 }, () => app.request(`/v2/models/${NAME}/infer`, { method: 'POST', ...message })),
    );
    for (const answer of answers) {
      expect(answer.headers.get('Server-Timing')).toContain('batch;desc="4"');
      const { outputs } = decodeInferResponse(
        new Uint8Array(await answer.arrayBuffer()),
        answer.headers.get(HEADER_LENGTH),
      );
      expect(outputs).toMatchObject([{ name: 'restored', tensor: { shape: [1, 32, 32, 3] } }]);
    }
    await drain();
  });
});
