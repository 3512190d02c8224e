import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ResultOptions } from '@elfin/core';
import { loadSharpCodec } from '@elfin/core/node';
import { createRemoteRuntime } from '@elfin/core/remote';
import { afterEach, expect, test } from 'vitest';
import { readImage } from '../../../../test/fixtures/images/read.ts';
import { seededModel } from '../../../../test/helpers/seeded-model.ts';
import { workContext } from '../../../../test/helpers/work-context.ts';
import { createFallback } from './fallback.ts';
import { createLocalBackend } from './local.ts';
import { createWorkerBackend } from './whole-image.ts';

const codec = await loadSharpCodec();
const bytes = readImage('rgb.jpg');
const header = await codec.probe(bytes);
const options: ResultOptions = { restore: 'derain', format: 'png', width: 24 };
const work = { bytes, header, options, firstFrame: false };
const good = await codec.encode(await codec.resize(await codec.decode(bytes), { width: 24, height: 16 }), {
  format: 'png',
});

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

/** A worker that answers as told, on a real socket. */
async function worker(answer: RequestListener) {
  const seen: { url: string; headers: Record<string, unknown> }[] = [];
  const server = createServer((request, response) => {
    seen.push({ url: request.url ?? '', headers: request.headers });
    request.resume().once('end', () => answer(request, response));
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

const model = await seededModel('elf-lw');
const models = { resolve: async () => model };
const restored = { 'content-type': 'image/png', 'restore-status': 'restored', 'elfin-model': model.digest };
const place = (...urls: string[]) =>
  createWorkerBackend({ codec, models, endpoints: createRemoteRuntime({ endpoints: urls, attemptMs: 500 }).endpoints });
const context = () => workContext({ traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' });

test('a whole image goes out with options, weights, deadline and trace, and comes back believed', async () => {
  const { url, seen } = await worker((_, response) => response.writeHead(200, restored).end(good));
  const made = await place(url).make(work, context());
  expect([made.width, made.height, Buffer.compare(made.bytes, good)]).toEqual([24, 16, 0]);
  expect(decodeURIComponent(seen[0]?.url ?? '')).toBe('/restore?o=format=png,restore=derain,width=24');
  expect(seen[0]?.headers).toMatchObject({
    traceparent: context().traceparent,
    'elfin-models': model.digest,
    'elfin-deadline-ms': expect.stringMatching(/^\d+$/),
  });
  expect(made.restored).toMatchObject({ task: 'derain', digest: model.digest, model: model.name, by: 'worker' });
});

test.each<[string, RequestListener]>([
  [
    'one that dies in the middle',
    (_, response) => {
      response.writeHead(200, { ...restored, 'content-length': good.length }).write(good.subarray(0, 20));
      setTimeout(() => response.destroy(), 10);
    },
  ],
  ['one that hangs up', (request) => request.socket.destroy()],
  ['one that hangs', () => undefined],
  ['one that answers garbage', (_, response) => response.writeHead(200, restored).end('garbage')],
  [
    'one that answers another format',
    (_, response) => response.writeHead(200, { ...restored, 'content-type': 'image/jpeg' }).end(good),
  ],
  ['one that answers other sides', (_, response) => response.writeHead(200, restored).end(readImage('rgb.png'))],
  [
    'one that did not restore',
    (_, response) => response.writeHead(200, { ...restored, 'restore-status': 'passthrough' }).end(good),
  ],
  [
    'one with other weights',
    (_, response) => response.writeHead(200, { ...restored, 'elfin-model': 'f'.repeat(64) }).end(good),
  ],
  [
    'one that does not tell its weights',
    (_, response) => response.writeHead(200, { ...restored, 'elfin-model': '' }).end(good),
  ],
  ['one that says nothing of it', (_, response) => response.writeHead(200, { 'content-type': 'image/png' }).end(good)],
  ['one that is busy', (_, response) => response.writeHead(503).end()],
  ['one without the model', (_, response) => response.writeHead(404).end()],
])('%s costs a try elsewhere, never a broken image', async (_, bad) => {
  const [broken, fine] = [
    await worker(bad),
    await worker((_, response) => response.writeHead(200, restored).end(good)),
  ];
  const made = await place(broken.url, fine.url).make(work, context());
  expect(Buffer.compare(made.bytes, good)).toBe(0);
  expect(fine.seen).toHaveLength(1);
});

test('the image’s own fault is nobody else’s: one worker is asked, and its breaker stays shut', async () => {
  const refusing: RequestListener = (_, response) =>
    response.writeHead(422, { 'elfin-error': 'IMAGE_CORRUPT' }).end(JSON.stringify({ error: 'It is damaged.' }));
  const [one, two] = [await worker(refusing), await worker(refusing)];
  const pool = place(one.url, two.url);
  for (let i = 0; i < 6; i++) await expect(pool.make(work, context())).rejects.toMatchObject({ code: 'IMAGE_CORRUPT' });
  expect([one.seen.length + two.seen.length, pool.available()]).toEqual([6, true]);
});

test('with no worker at all the ladder ends at the source, and says so', async () => {
  const nobody = 'http://127.0.0.1:1';
  const outcome = await createFallback([place(nobody), createLocalBackend({ codec, restorePixels: 10 })]).make(
    work,
    context(),
  );
  expect(outcome).toMatchObject({ state: 'degraded', reason: 'no-worker', made: { width: 24, height: 16 } });
  await expect(createFallback([place(nobody)]).make(work, context())).rejects.toMatchObject({ code: 'NETWORK_FAILED' });
});
