import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSigner, parseUrlKeys, type QueueMessage } from '@elfin/edge';
import { createLambdaEdge } from '@elfin/edge/lambda';
import { createModels } from '@elfin/models/node';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readImage } from '../fixtures/images/read.ts';
import { startS3 } from '../helpers/s3-server.ts';

const keys = `k1:${'0b'.repeat(32)}`;
const signer = createSigner({ keys: parseUrlKeys(keys) });
let noise: Buffer;
let folder = '';
let origin = '';
const server = createServer((request, response) => {
  response.end(request.url === '/noise.png' ? noise : readImage('rgb.jpg'));
});

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'elfin-lambda-'));
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const data = crypto.getRandomValues(new Uint8Array(65_536));
  const pixels = Buffer.alloc(1600 * 1200 * 3, 0).map((_, at) => (data[at % 65_536] ?? 0) ^ (at >> 9));
  noise = await sharp(pixels, { raw: { width: 1600, height: 1200, channels: 3 } })
    .png({ compressionLevel: 1 })
    .toBuffer();
});
afterAll(async () => {
  server.close();
  await rm(folder, { recursive: true, force: true });
});

const env = () => ({
  ELFIN_URL_KEYS: keys,
  ELFIN_SOURCES: origin,
  ELFIN_PRIVATE_SOURCES: '127.0.0.0/8',
  ELFIN_STORE: join(folder, 'results'),
  ELFIN_SYNC_WAIT_MS: '50',
});

/** What a function URL sends (payload format 2.0). */
async function event(options: object, path: string, headers: Record<string, string> = {}) {
  const [rawPath = '', rawQueryString = ''] = (await signer.sign({ options, source: `${origin}${path}` })).split('?');
  const http = { method: 'GET', path: rawPath, protocol: 'HTTP/1.1', sourceIp: '192.0.2.1', userAgent: 'test' };
  return {
    version: '2.0',
    routeKey: '$default',
    rawPath,
    rawQueryString,
    headers: { host: 'lambda.example', ...headers },
    isBase64Encoded: false,
    body: null,
    requestContext: {
      accountId: 'anonymous',
      apiId: 'a',
      domainName: 'lambda.example',
      domainPrefix: 'a',
      requestId: 'r',
      routeKey: '$default',
      stage: '$default',
      time: '',
      timeEpoch: 0,
      authentication: null,
      authorizer: {},
      http,
    },
  } as never;
}
type Reply = { statusCode: number; headers: Record<string, string>; body: string; isBase64Encoded: boolean };

test('without a queue a request waits for its result, which comes as base64', async () => {
  const edge = createLambdaEdge({ env: env(), models: createModels() });
  const reply = (await edge.handler(await event({ restore: 'derain', format: 'webp' }, '/a.jpg'))) as Reply;
  expect([reply.statusCode, reply.headers['restore-status'], reply.isBase64Encoded]).toEqual([200, 'restored', true]);
  expect((await sharp(Buffer.from(reply.body, 'base64')).metadata()).format).toBe('webp');
});

test('a result over the reply limit is redirected to, or told', async () => {
  const large = await event({ restore: 'none', format: 'png' }, '/noise.png');
  const edge = createLambdaEdge({ env: env(), redirect: (key) => `https://results.example/${key}` });
  const reply = (await edge.handler(large)) as Reply;
  expect([reply.statusCode, reply.headers.location, reply.headers['cache-control']]).toEqual([
    302,
    expect.stringMatching(/^https:\/\/results\.example\/result\/[0-9a-f]{64}$/),
    'private, max-age=60',
  ]);
  const told = (await createLambdaEdge({ env: env() }).handler(large)) as Reply;
  expect([told.statusCode, told.headers['elfin-error']]).toEqual([507, 'IMAGE_TOO_MANY_BYTES']);
});

test('with results in a bucket, one over the reply limit is fetched there by a URL that holds for minutes', async () => {
  const s3 = await startS3();
  const bucket = {
    ELFIN_STORE: 's3://results/edge',
    ELFIN_S3_ENDPOINT: s3.endpoint,
    AWS_ACCESS_KEY_ID: 'id',
    AWS_SECRET_ACCESS_KEY: 'secret',
  };
  const edge = createLambdaEdge({ env: { ...env(), ...bucket } });
  const reply = (await edge.handler(await event({ restore: 'none', format: 'png' }, '/noise.png'))) as Reply;
  const location = new URL(reply.headers.location ?? '');
  expect([reply.statusCode, location.pathname, location.searchParams.get('X-Amz-Expires')]).toEqual([
    302,
    expect.stringMatching(/^\/results\/edge\/result\/[0-9a-f]{64}$/),
    '300',
  ]);
  expect(location.searchParams.get('X-Amz-Signature')).toMatch(/^[0-9a-f]{64}$/);
  const stored = await fetch(location);
  expect(stored.headers.get('content-type')).toBe('image/png');
  expect(await sharp(Buffer.from(await stored.arrayBuffer())).metadata()).toMatchObject({ width: 1600, height: 1200 });
  await s3.close();
});

test('with a queue, work that takes long is a message, and its consumer does it', async () => {
  const messages: QueueMessage[] = [];
  const edge = createLambdaEdge({
    env: env(),
    models: createModels(),
    send: async (message) => void messages.push(message),
  });
  const asked = await event({ restore: 'derain', width: 40, format: 'png' }, '/a.jpg', { prefer: 'respond-async' });
  const accepted = (await edge.handler(asked)) as Reply;
  expect(accepted.statusCode).toBe(202);
  const body = JSON.stringify(messages[0]);
  expect(body.length).toBeLessThan(128 * 1024);
  expect(
    await edge.consume({
      Records: [
        { messageId: '1', body },
        { messageId: '2', body: 'garbage' },
      ],
    }),
  ).toEqual({ batchItemFailures: [{ itemIdentifier: '2' }] });
  const done = (await edge.handler(await event({ restore: 'derain', width: 40, format: 'png' }, '/a.jpg'))) as Reply;
  expect([done.statusCode, done.headers['restore-status']]).toEqual([200, 'restored']);
});
