import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { namedModel } from '../../../../../test/helpers/accelerator.ts';
import type { Tensor } from '../../base/tensor.ts';
import { decodeInferRequest, encodeInferResponse, HEADER_LENGTH } from '../../protocol/open-inference.ts';
import { createSessionPool } from '../session-pool.ts';
import { createRemoteRuntime } from './remote.ts';

const model = namedModel();
const NAME = `${model.name}.uint8`;
const options = { io: 'uint8', statistics: 'own', quadrants: 'own' } as const;
const image: Tensor = { type: 'uint8', shape: [1, 16, 16, 3], data: new Uint8Array(768) };

const closers: (() => Promise<unknown>)[] = [];
afterEach(() => Promise.all(closers.splice(0).map((close) => close())));

/** A real server whose description of the model is `describe`, and which gives images back as they are. */
async function serve(describe: (response: ServerResponse) => void, port = 0) {
  const asked = { descriptions: 0, images: 0 };
  const listener: RequestListener = async (request, response) => {
    if (request.method === 'GET') {
      asked.descriptions++;
      return describe(response);
    }
    asked.images++;
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const header = request.headers[HEADER_LENGTH.toLowerCase()] as string;
    const { tensor } = decodeInferRequest(Buffer.concat(chunks), header).inputs[0]!;
    const { headers, body } = encodeInferResponse({ model: NAME, outputs: [{ name: 'restored', tensor }] });
    response.writeHead(200, headers).end(body);
  };
  const server = createServer(listener).listen(port, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const close = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  closers.push(close);
  const bound = (server.address() as AddressInfo).port;
  return { url: `http://127.0.0.1:${bound}`, port: bound, asked, close };
}

const soundly = (response: ServerResponse) =>
  void response.end(JSON.stringify({ name: NAME, inputs: [{ name: 'image', datatype: 'UINT8' }] }));
const never = () => undefined;
const run = { outputs: ['restored'] };

test('opening waits for the first server that has the model, not for one that hangs, which gets no tiles meanwhile', async () => {
  const [hanging, good] = [await serve(never), await serve(soundly)];
  const session = await createRemoteRuntime({ endpoints: [hanging.url, good.url], inFlight: 2 }).open(model, options);
  await Promise.all(Array.from({ length: 6 }, () => session.run({ image }, run)));
  expect([hanging.asked, good.asked.images]).toEqual([{ descriptions: 1, images: 0 }, 6]);
  await session.dispose();
});

test('who hangs over the question is not asked it again', async () => {
  const hanging = await serve(never);
  await expect(
    createRemoteRuntime({ endpoints: [hanging.url], attemptMs: 500 }).open(model, options),
  ).rejects.toMatchObject({
    code: 'NETWORK_FAILED',
  });
  expect(hanging.asked.descriptions).toBe(1);
});

test('a busy server is asked again', async () => {
  let times = 0;
  const busy = await serve((response) => (times++ === 0 ? response.writeHead(503).end() : soundly(response)));
  await (await createRemoteRuntime({ endpoints: [busy.url] }).open(model, options)).dispose();
  expect(busy.asked.descriptions).toBe(2);
});

test('a kept session finds a server that was down when it was opened', async () => {
  const later = await serve(soundly);
  await later.close();
  const first = await serve(soundly);
  const session = await createRemoteRuntime({ endpoints: [first.url, later.url] }).open(model, options);
  await session.run({ image }, run);
  await first.close();
  const back = await serve(soundly, later.port);
  await session.run({ image }, run);
  expect(back.asked.images).toBe(1);
});

test('a server that has not answered is asked all the same where no other is left', async () => {
  const [slow, first] = [await serve(never), await serve(soundly)];
  const session = await createRemoteRuntime({ endpoints: [first.url, slow.url] }).open(model, options);
  await first.close();
  await session.run({ image }, run);
  expect(slow.asked.images).toBe(1);
  await session.dispose();
});

test('an abort ends the opening, in the pool too, where others go on waiting', async () => {
  let answer: (() => void) | undefined;
  const slow = await serve((response) => {
    answer = () => soundly(response);
  });
  const runtime = createRemoteRuntime({ endpoints: [slow.url] });
  const enough = () => AbortSignal.timeout(100);
  await expect(runtime.open(model, options, { signal: enough() })).rejects.toMatchObject({ code: 'ABORTED' });

  const pool = createSessionPool(runtime, { keep: 1 });
  const waits = pool.acquire(model, options);
  await expect(pool.acquire(model, options, { signal: enough() })).rejects.toMatchObject({ code: 'ABORTED' });
  await expect(pool.acquire(model, options, { deadline: Date.now() + 100 })).rejects.toMatchObject({
    code: 'DEADLINE_EXCEEDED',
  });
  expect(pool.has(model, options)).toBe(true);
  answer?.();
  await (await waits).run({ image }, run);
  await pool.dispose();

  const alone = createSessionPool(runtime, { keep: 1 });
  await expect(alone.acquire(model, options, { signal: enough() })).rejects.toMatchObject({ code: 'ABORTED' });
  expect(alone.has(model, options)).toBe(false);
  await alone.dispose();
});
