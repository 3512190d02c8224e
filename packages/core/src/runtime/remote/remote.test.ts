import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import type { Tensor } from '../../base/tensor.ts';
import type { ModelRef } from '../../model/models.ts';
import { decodeInferRequest, encodeInferResponse, HEADER_LENGTH } from '../../protocol/open-inference.ts';
import { createRemoteRuntime, type RemoteOptions } from './remote.ts';

const NAME = 'derain-lw-test-0123456789ab.uint8';
const model = { name: 'derain-lw-test-0123456789ab' } as ModelRef;
const options = { io: 'uint8', statistics: 'own', quadrants: 'own' } as const;
const image: Tensor = {
  type: 'uint8',
  shape: [1, 16, 16, 3],
  data: Uint8Array.from({ length: 768 }, (_, i) => i % 251),
};
const inverted = image.data.map((value) => 255 - value);

const closers: (() => Promise<unknown>)[] = [];
afterEach(() => Promise.all(closers.splice(0).map((close) => close())));

/** A real server on a free loopback port that describes the model soundly and answers `infer` as told. */
async function serve(infer: (request: IncomingMessage, response: ServerResponse, body: Buffer) => void, name = NAME) {
  let calls = 0;
  const listener: RequestListener = async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    if (request.method === 'GET') {
      const known = decodeURIComponent(request.url ?? '') === `/v2/models/${name}`;
      response.statusCode = known ? 200 : 404;
      const inputs = [{ name: 'image', datatype: 'UINT8', shape: [-1, -1, -1, 3] }];
      response.end(JSON.stringify(known ? { name, inputs } : { error: `unknown model ${request.url}` }));
      return;
    }
    calls += 1;
    infer(request, response, Buffer.concat(chunks));
  };
  const server = createServer(listener).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const close = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  closers.push(close);
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, calls: () => calls, close };
}

function invert(request: IncomingMessage, response: ServerResponse, body: Buffer, named = NAME): void {
  const { inputs } = decodeInferRequest(body, request.headers[HEADER_LENGTH.toLowerCase()] as string);
  const { tensor } = inputs[0]!;
  const restored = {
    type: 'uint8',
    shape: tensor.shape,
    data: Uint8Array.from(tensor.data, (value) => 255 - value),
  } as const;
  const message = encodeInferResponse({ model: named, outputs: [{ name: 'restored', tensor: restored }] });
  response.writeHead(200, message.headers).end(message.body);
}

const fail =
  (status: number, headers: Record<string, string> = {}) =>
  (_: IncomingMessage, response: ServerResponse) =>
    void response.writeHead(status, headers).end(JSON.stringify({ error: `told to answer ${status}` }));

async function restore(remote: RemoteOptions, run: { signal?: AbortSignal; deadline?: number } = {}) {
  const session = await createRemoteRuntime({ breaker: { failures: 2, openMs: 60_000 }, ...remote }).open(
    model,
    options,
  );
  const { restored } = await session.run({ image }, { ...run, outputs: ['restored'] });
  return restored?.data;
}

test('tiles go out and come back as bytes, with the token and the headers asked for', async () => {
  let headers: IncomingMessage['headers'] = {};
  const worker = await serve((request, response, body) => {
    headers = request.headers;
    invert(request, response, body);
  });
  const trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const endpoints = [{ url: worker.url, token: 'secret' }];
  expect(await restore({ endpoints, headers: () => ({ traceparent: trace }) })).toEqual(inverted);
  expect(headers).toMatchObject({ authorization: 'Bearer secret', traceparent: trace });
});

describe('an answer that would become wrong pixels is refused, and asked for elsewhere', () => {
  const garbage: Record<string, (request: IncomingMessage, response: ServerResponse, body: Buffer) => void> = {
    'not the protocol': (_, response) => void response.end('<html>'),
    'another model': (request, response, body) => invert(request, response, body, 'other-lw-test-000000000000.uint8'),
    'another shape': (_, response) => {
      const restored = { type: 'uint8', shape: [1, 8, 8, 3], data: new Uint8Array(192) } as const;
      const { headers, body } = encodeInferResponse({ model: NAME, outputs: [{ name: 'restored', tensor: restored }] });
      response.writeHead(200, headers).end(body);
    },
    'no output': (_, response) => {
      const { headers, body } = encodeInferResponse({ model: NAME, outputs: [] });
      response.writeHead(200, headers).end(body);
    },
    'cut off': (_, response) => {
      response.writeHead(200, { 'Content-Length': '1000' }).write('{');
      setTimeout(() => response.destroy(), 20);
    },
    endless: (_, response) => {
      const timer = setInterval(() => response.write(Buffer.alloc(1 << 20)), 1);
      response.once('close', () => clearInterval(timer));
    },
  };
  test.each(Object.entries(garbage))('%s', async (_, answer) => {
    const [bad, good] = [await serve(answer), await serve(invert)];
    expect(await restore({ endpoints: [bad.url, good.url] })).toEqual(inverted);
    await expect(restore({ endpoints: [bad.url] })).rejects.toMatchObject({
      code: expect.stringMatching(/^(REMOTE_PROTOCOL|NETWORK_FAILED)$/),
    });
  });
});

test.each([429, 502, 503, 504])('after %i another endpoint, or the same one again, is asked', async (status) => {
  const [bad, good] = [await serve(fail(status)), await serve(invert)];
  expect(await restore({ endpoints: [bad.url, good.url] })).toEqual(inverted);
  let first = true;
  const moody = await serve((request, response, body) => {
    (first ? fail(status) : invert)(request, response, body);
    first = false;
  });
  expect(await restore({ endpoints: [moody.url] })).toEqual(inverted);
});

test('at most two retries, then one coded error with the server’s reason', async () => {
  const busy = await serve(fail(503, { 'Retry-After': '0' }));
  await expect(restore({ endpoints: [busy.url] })).rejects.toMatchObject({
    code: 'REMOTE_BUSY',
    message: expect.stringContaining('told to answer 503'),
  });
  expect(busy.calls()).toBe(3);
});

test('a Retry-After beyond the deadline is not waited for', async () => {
  const busy = await serve(fail(503, { 'Retry-After': '3600' }));
  await expect(restore({ endpoints: [busy.url] }, { deadline: Date.now() + 5_000 })).rejects.toMatchObject({
    code: 'REMOTE_BUSY',
  });
  expect(busy.calls()).toBe(1);
});

test.each(['3600', new Date(Date.now() + 100 * 365 * 24 * 3600 * 1000).toUTCString()])(
  'a Retry-After of %s is waited for, a minute at most',
  async (advice) => {
    const busy = await serve(fail(503, { 'Retry-After': advice }));
    const limits = { deadline: Date.now() + 90_000, signal: AbortSignal.timeout(1500) };
    await expect(restore({ endpoints: [busy.url] }, limits)).rejects.toMatchObject({ code: 'ABORTED' });
    expect(busy.calls()).toBe(1);
  },
);

test.each([Number.POSITIVE_INFINITY, Date.now() + 30 * 24 * 3600 * 1000])(
  'a deadline of %d is none',
  async (deadline) => {
    const slow = await serve((...call) => void setTimeout(() => invert(...call), 30));
    expect(await restore({ endpoints: [slow.url], retries: 0 }, { deadline })).toEqual(inverted);
  },
);

test.each([
  [400, 'REMOTE_PROTOCOL'],
  [401, 'CONFIG_INVALID'],
  [413, 'OUT_OF_MEMORY'],
])('%i is not asked for twice', async (status, code) => {
  const worker = await serve(fail(status));
  await expect(restore({ endpoints: [worker.url] })).rejects.toMatchObject({ code });
  expect(worker.calls()).toBe(1);
});

test('workers with other weights are refused, not used', async () => {
  const [other, good] = [await serve(invert, 'derain-lw-test-ffffffffffff.uint8'), await serve(invert)];
  expect(await restore({ endpoints: [other.url, good.url] })).toEqual(inverted);
  expect(other.calls()).toBe(0);
  await expect(restore({ endpoints: [other.url] })).rejects.toMatchObject({ code: 'MODEL_UNKNOWN' });
});

test('a worker that hangs is left for another; alone it costs the deadline and no more', async () => {
  const [hanging, good] = [await serve(() => undefined), await serve(invert)];
  expect(await restore({ endpoints: [hanging.url, good.url], attemptMs: 200 })).toEqual(inverted);
  await expect(restore({ endpoints: [hanging.url] }, { deadline: Date.now() + 300 })).rejects.toMatchObject({
    code: 'DEADLINE_EXCEEDED',
  });
});

test('a worker that dies in the middle is left for another', async () => {
  const [dying, good] = [await serve((_, response) => void response.destroy()), await serve(invert)];
  expect(await restore({ endpoints: [dying.url, good.url] })).toEqual(inverted);
});

test('the breaker leaves a broken endpoint alone', async () => {
  const [broken, good] = [await serve((_, response) => void response.destroy()), await serve(invert)];
  const runtime = createRemoteRuntime({ endpoints: [broken.url, good.url], breaker: { failures: 2, openMs: 60_000 } });
  const session = await runtime.open(model, options);
  for (let tile = 0; tile < 8; tile += 1) await session.run({ image }, { outputs: ['restored'] });
  expect(broken.calls()).toBe(2);
  expect(runtime.endpoints.state()).toEqual([
    { url: broken.url, inFlight: 0, breaker: 'open' },
    { url: good.url, inFlight: 0, breaker: 'closed' },
  ]);
});

test('an endpoint that comes back is asked again once its breaker has been open for a while', async () => {
  let down = true;
  const [back, good] = [await serve((...call) => (down ? call[1].destroy() : invert(...call))), await serve(invert)];
  const runtime = createRemoteRuntime({ endpoints: [back.url, good.url], breaker: { failures: 2, openMs: 50 } });
  const session = await runtime.open(model, options);
  const run = () => session.run({ image }, { outputs: ['restored'] });
  for (let tile = 0; tile < 4; tile += 1) await run();
  expect(runtime.endpoints.state()[0]).toMatchObject({ breaker: 'open' });
  down = false;
  const before = back.calls();
  await new Promise((resolve) => setTimeout(resolve, 100));
  for (let tile = 0; tile < 4; tile += 1) await run();
  expect(back.calls()).toBeGreaterThan(before);
  expect(runtime.endpoints.state()[0]).toMatchObject({ breaker: 'closed' });
});

test('who waits behind others is let go at his own deadline', async () => {
  const hanging = await serve(() => undefined);
  const session = await createRemoteRuntime({ endpoints: [hanging.url], inFlight: 1 }).open(model, options);
  const first = session.run({ image });
  await expect(session.run({ image }, { deadline: Date.now() + 100 })).rejects.toMatchObject({
    code: 'DEADLINE_EXCEEDED',
  });
  await hanging.close();
  await expect(first).rejects.toMatchObject({ code: 'NETWORK_FAILED' });
});

test('one who leaves the queue keeps nobody behind him waiting', async () => {
  const held: (() => void)[] = [];
  const worker = await serve((...call) => held.push(() => invert(...call)));
  const session = await createRemoteRuntime({ endpoints: [worker.url], inFlight: 1 }).open(model, options);
  const first = session.run({ image }, { outputs: ['restored'] });
  const leaving = new AbortController();
  const second = session.run({ image }, { outputs: ['restored'], signal: leaving.signal });
  const third = session.run({ image }, { outputs: ['restored'] });
  await expect.poll(() => held.length).toBe(1);
  leaving.abort('enough');
  await expect(second).rejects.toMatchObject({ code: 'ABORTED' });
  held[0]!();
  await first;
  await expect.poll(() => held.length).toBe(2);
  held[1]!();
  await third;
  expect(worker.calls()).toBe(2);
});

test('no more than the limit is in flight at one endpoint', async () => {
  let now = 0;
  let most = 0;
  const worker = await serve((request, response, body) => {
    most = Math.max(most, ++now);
    setTimeout(() => {
      now -= 1;
      invert(request, response, body);
    }, 20);
  });
  const session = await createRemoteRuntime({ endpoints: [worker.url], inFlight: 3 }).open(model, options);
  await Promise.all(Array.from({ length: 12 }, () => session.run({ image }, { outputs: ['restored'] })));
  expect(most).toBe(3);
});

test('an abort ends a call at once, and a disposed session runs nothing', async () => {
  const hanging = await serve(() => undefined);
  const controller = new AbortController();
  setTimeout(() => controller.abort('enough'), 50);
  await expect(restore({ endpoints: [hanging.url] }, { signal: controller.signal })).rejects.toMatchObject({
    code: 'ABORTED',
  });
  const worker = await serve(invert);
  const session = await createRemoteRuntime({ endpoints: [worker.url] }).open(model, options);
  await session.dispose();
  await expect(session.run({ image })).rejects.toMatchObject({ code: 'DISPOSED' });
});

test.each([{ inFlight: 0 }, { tilesInFlight: 1.5 }])('%o is no limit', (limit) => {
  expect(() => createRemoteRuntime({ endpoints: ['http://127.0.0.1:1'], ...limit })).toThrow(
    expect.objectContaining({ code: 'OPTION_INVALID' }),
  );
});

test.each(['ftp://host', 'worker:8000', 'http://user:pw@host', 'http://host?x=1', ''])('%j is no endpoint', (url) => {
  expect(() => createRemoteRuntime({ endpoints: [url] })).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
});
