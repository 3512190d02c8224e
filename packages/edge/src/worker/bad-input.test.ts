import { connect } from 'node:net';
import { encodeInferRequest, HEADER_LENGTH } from '@elfin/core/remote';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAccelerator, namedModel } from '../../../../test/helpers/accelerator.ts';
import { type RunningWorker, serveWorker } from './node.ts';

const model = namedModel();
const PATH = `/v2/models/${model.name}.uint8/infer`;
let runs = 0;
let worker: RunningWorker;

beforeAll(async () => {
  const runtime = createAccelerator(async () => runs++);
  worker = await serveWorker({ models: [model], runtime, port: 0, maxSide: 256, bodyMs: 300 });
});
afterAll(() => worker.close());

const tensor = { type: 'uint8', shape: [1, 16, 16, 3], data: new Uint8Array(768) } as const;
const good = encodeInferRequest({ inputs: [{ name: 'image', tensor }], outputs: [] });
const length = Number(good.headers[HEADER_LENGTH]);
const header = JSON.parse(new TextDecoder().decode(good.body.subarray(0, length)));

/** A request with a header of our making before the same 768 bytes. */
function binary(inputs: unknown, claimed?: string, bytes = 768): RequestInit {
  const json = new TextEncoder().encode(typeof inputs === 'string' ? inputs : JSON.stringify({ ...header, inputs }));
  const headers = { [HEADER_LENGTH]: claimed ?? String(json.length) };
  return { body: new Uint8Array([...json, ...new Uint8Array(bytes)]), headers };
}
const image = (fields: object) => [{ ...header.inputs[0], ...fields }];
const raw = (shape: string) => `{"inputs":[{"name":"image","datatype":"UINT8","shape":${shape},"data":[]}]}`;

describe('each is a v2 error with the right status, and nothing reaches the network', () => {
  const cases: [string, RequestInit, number][] = [
    ['a header length beyond the body', binary(image({}), '100000'), 400],
    ['a header length that is no number', binary(image({}), '1e2'), 400],
    ['a negative header length', binary(image({}), '-5'), 400],
    ['a header length of zero', binary(image({}), '0'), 400],
    ['a tensor that claims more bytes than its shape', binary(image({ parameters: { binary_data_size: 769 } })), 400],
    ['a tensor that claims fewer', binary(image({ parameters: { binary_data_size: 3 } })), 400],
    ['a size that is no number', binary(image({ parameters: { binary_data_size: 'all' } })), 400],
    ['a body cut off before its tensor ends', binary(image({}), undefined, 767), 400],
    ['bytes that belong to no tensor', binary(image({}), undefined, 769), 400],
    ['NaN in a shape', { body: raw('[1,NaN,16,3]') }, 400],
    ['null in a shape, as JSON writes NaN', binary(image({ shape: [1, Number.NaN, 16, 3] })), 400],
    ['an infinite side', { body: raw('[1,1e999,16,3]') }, 400],
    ['a fraction of a pixel', binary(image({ shape: [1, 16.5, 16, 3] })), 400],
    ['a negative side', binary(image({ shape: [1, -16, 16, 3] })), 400],
    ['a side of nothing', binary(image({ shape: [1, 0, 16, 3] })), 400],
    ['a shape that is a text', binary(image({ shape: '1,16,16,3' })), 400],
    ['huge sides', binary(image({ shape: [1, 2 ** 31, 2 ** 31, 3], parameters: { binary_data_size: 2 ** 62 } })), 400],
    ['sides whose product overflows', binary(image({ shape: [2 ** 53 - 1, 2 ** 53 - 1, 16, 3] })), 400],
    ['more axes than any tensor has', binary(image({ shape: new Array(1000).fill(1) })), 400],
    [
      'a side beyond the limit, honestly sent',
      binary(image({ shape: [1, 272, 16, 3], parameters: { binary_data_size: 272 * 48 } }), undefined, 272 * 48),
      400,
    ],
    ['an element type of no graph', binary(image({ datatype: 'BYTES' })), 400],
    ['the same input twice', binary([...image({}), ...image({})], undefined, 1536), 400],
    ['more inputs than any graph has', binary(new Array(100).fill(image({})[0])), 400],
    ['something else than inputs', binary('{"inputs":7}'), 400],
    ['a list for a header', binary('[]'), 400],
    ['text that is no UTF-8', { body: new Uint8Array([0xff, 0xfe, 0x00]) }, 400],
  ];
  test.each(cases)('%s', async (_, init, status) => {
    const before = runs;
    const answer = await fetch(worker.url + PATH, { method: 'POST', ...init });
    expect({ status: answer.status, body: await answer.json() }).toEqual({
      status,
      body: { error: expect.stringMatching(/^.{10,}$/) },
    });
    expect(runs).toBe(before);
  });

  test('an unknown model is named back, shortened', async () => {
    const answer = await fetch(`${worker.url}/v2/models/${'x'.repeat(2000)}/infer`, { method: 'POST', ...good });
    const { error } = (await answer.json()) as { error: string };
    expect([answer.status, error.length < 400]).toEqual([404, true]);
  });
});

describe('bodies that do not come', () => {
  /** Writes to a socket and tells what came back, and whether the worker hung up. */
  async function talk(write: (socket: ReturnType<typeof connect>) => void): Promise<string> {
    const socket = connect(Number(new URL(worker.url).port), '127.0.0.1');
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk;
    });
    const over = new Promise((resolve) => socket.once('close', resolve));
    socket.on('error', () => undefined);
    write(socket);
    await Promise.race([over, new Promise((resolve) => setTimeout(resolve, 5_000))]);
    socket.destroy();
    return text;
  }
  const head = (bytes: number) =>
    `POST ${PATH} HTTP/1.1\r\nHost: worker\r\nConnection: close\r\n${HEADER_LENGTH}: ${length}\r\nContent-Length: ${bytes}\r\n\r\n`;

  test('a slow-loris body, a byte now and then, is ended with 408', async () => {
    const answer = await talk((socket) => {
      socket.write(head(good.body.length));
      const drip = setInterval(() => socket.write('{'), 50);
      socket.once('close', () => clearInterval(drip));
    });
    expect(answer).toMatch(/^HTTP\/1\.1 408 /);
    expect(answer).toContain('"error"');
  });

  test('what comes after its time is up takes nothing from the budget for good', async () => {
    const small = await serveWorker({
      models: [model],
      runtime: createAccelerator(async () => undefined),
      port: 0,
      bodyMs: 100,
      maxBytes: 2 * good.body.length,
    });
    const late = connect(Number(new URL(small.url).port), '127.0.0.1');
    late.on('error', () => undefined);
    late.write(head(2 * good.body.length).replace('Connection: close\r\n', ''));
    await new Promise((resolve) => late.once('data', resolve));
    late.write(new Uint8Array(2 * good.body.length - 8));
    await new Promise((resolve) => setTimeout(resolve, 100));
    late.destroy();
    expect((await fetch(small.url + PATH, { method: 'POST', ...good })).status).toBe(200);
    await small.close();
  });

  test('a caller that hangs up in the middle takes nothing down', async () => {
    await talk((socket) => {
      socket.write(head(good.body.length));
      socket.write(good.body.subarray(0, 100));
      setTimeout(() => socket.destroy(), 50);
    });
    expect((await fetch(`${worker.url}/readyz`)).status).toBe(200);
    expect((await fetch(worker.url + PATH, { method: 'POST', ...good })).status).toBe(200);
  });
});
