import { createRestorer, type PixelImage } from '@elfin/core';
import { createRemoteRuntime, encodeInferRequest } from '@elfin/core/remote';
import { afterEach, describe, expect, test } from 'vitest';
import { createAccelerator, namedModel } from '../../../../test/helpers/accelerator.ts';
import type { WorkerOptions } from './app.ts';
import { serveWorker } from './node.ts';

const model = namedModel();
const NAME = `${model.name}.uint8`;

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** A worker on a real socket, with a device whose first run lasts until `release`, and which notes the pictures' values. */
async function start(options: Partial<WorkerOptions> = {}, latencyMs = 20) {
  const order: number[] = [];
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const runtime = createAccelerator(({ data }) => {
    order.push(data[0]!);
    return order.length === 1 ? held : new Promise((resolve) => setTimeout(resolve, latencyMs));
  });
  const worker = await serveWorker({ models: [model], runtime, maxBatch: 1, port: 0, ...options });
  closing.push(worker.close);
  const send = (value: number, parameters: Record<string, number> = {}) => {
    const tensor = { type: 'uint8', shape: [1, 16, 16, 3], data: new Uint8Array(768).fill(value) } as const;
    const outputs = [{ name: 'restored', binary: true }];
    const message = encodeInferRequest({ parameters, inputs: [{ name: 'image', tensor }], outputs });
    return fetch(`${worker.url}/v2/models/${NAME}/infer`, { method: 'POST', ...message });
  };
  return { worker, order, send, release };
}

/** Until the worker's own metrics say so. */
async function until(url: string, gauge: 'running' | 'queue_depth', value: number): Promise<void> {
  for (;;) {
    const text = await (await fetch(`${url}/metrics`)).text();
    if (text.split('\n').includes(`elfin_worker_${gauge} ${value}`)) return;
  }
}

describe('a worker with more work than it can do', () => {
  test('serves by priority, and within one in the order of arrival', async () => {
    const { worker, order, send, release } = await start();
    const answers = [send(99)];
    await until(worker.url, 'running', 1);
    for (const [index, priority] of [3, 2, 1, 3, 0, 1].entries()) {
      answers.push(send(index, { priority }));
      await until(worker.url, 'queue_depth', index + 1);
    }
    release();
    for (const answer of answers) expect((await answer).status).toBe(200);
    // Without a priority (0) a tile is of the second.
    expect(order).toEqual([99, 2, 5, 1, 4, 0, 3]);
  });

  test('refuses at once what it cannot do before the deadline, with 503 and Retry-After', async () => {
    const { worker, send, release } = await start({}, 300);
    const first = send(0);
    await until(worker.url, 'running', 1);
    // The pace that it goes by is the first run's, at least so long.
    await new Promise((resolve) => setTimeout(resolve, 200));
    release();
    await first;
    const queued = Array.from({ length: 5 }, () => send(1));
    await until(worker.url, 'queue_depth', 4);
    const refused = await send(2, { timeout: 100_000 });
    expect(refused.status).toBe(503);
    expect(Number(refused.headers.get('Retry-After'))).toBeGreaterThanOrEqual(1);
    expect(await refused.json()).toEqual({ error: expect.stringContaining('before the deadline') });
    expect((await Promise.all(queued)).every(({ status }) => status === 200)).toBe(true);
  });

  test('refuses what its queue has no room for, and says when to come back', async () => {
    const { worker, send, release } = await start({ maxQueue: 3 });
    const accepted = [send(1)];
    await until(worker.url, 'running', 1);
    for (let tile = 1; tile <= 3; tile += 1) {
      accepted.push(send(1));
      await until(worker.url, 'queue_depth', tile);
    }
    const refused = await send(1);
    expect([refused.status, Number(refused.headers.get('Retry-After'))]).toEqual([503, expect.any(Number)]);
    release();
    expect((await Promise.all(accepted)).map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  });

  test('is passed over by a client that has another one', async () => {
    const [busy, idle] = [await start({ maxQueue: 1 }), await start()];
    idle.release();
    const runtime = createRemoteRuntime({ endpoints: [busy.worker.url, idle.worker.url], inFlight: 12 });
    const session = await runtime.open(model, { io: 'uint8', statistics: 'own', quadrants: 'own' });
    const image = (value: number) =>
      ({ type: 'uint8', shape: [1, 16, 16, 3], data: new Uint8Array(768).fill(value) }) as const;
    const tiles = Array.from({ length: 12 }, (_, value) =>
      session.run({ image: image(value) }, { outputs: ['restored'] }),
    );
    // Half of them go to each; the busy one keeps one that it runs and one that waits.
    while (idle.order.length < 10) await new Promise((resolve) => setTimeout(resolve, 5));
    busy.release();
    for (const [value, { restored }] of (await Promise.all(tiles)).entries()) expect(restored).toEqual(image(value));
    expect([busy.order.length, idle.order.length]).toEqual([2, 10]);
  });
});

test('a photo’s tiles go out as bytes, several at once and no more than allowed, and come back in their places', async () => {
  const { worker, order, release } = await start({ maxBatch: 4 });
  release();
  let [now, most] = [0, 0];
  const paths = new Set<string>();
  const fetch: typeof globalThis.fetch = async (url, init) => {
    if (init?.method !== 'POST') return globalThis.fetch(url, init);
    paths.add(new URL(String(url)).pathname);
    most = Math.max(most, ++now);
    return globalThis.fetch(url, init).finally(() => now--);
  };
  const runtime = createRemoteRuntime({ endpoints: [worker.url], fetch, tilesInFlight: 3 });
  await using restorer = createRestorer({ models: { resolve: async () => model }, runtime });
  const data = Uint8Array.from({ length: 300 * 200 * 3 }, (_, i) => (i * 7919) % 251);
  const photo: PixelImage = { width: 300, height: 200, channels: 3, data };
  const tiling = { mode: 'local', tile: 64, overlap: 32 } as const;
  const { image, report } = await restorer.restore(photo, { task: 'derain', tiling });
  expect(Buffer.from(image.data)).toEqual(Buffer.from(data));
  expect([most, [...paths], report.task !== 'none' && report.tiles]).toEqual([3, [`/v2/models/${NAME}/infer`], 54]);
  // Those that were under way together shared runs.
  expect(order.length).toBeLessThan(54);
});
