import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import type { ObjectStore } from '@elfin/storage';
import { type HttpRequest, HttpResponse } from '@smithy/core/protocols';
import { afterEach, describe, expect, it } from 'vitest';
import { startS3 } from '../../../../test/helpers/s3-server.ts';
import { awkwardKeys } from '../../../../test/helpers/storm.ts';
import { bytesAt } from '../../../../test/helpers/upload.ts';
import { createS3Storage, type S3StorageOptions } from '../entries/s3.ts';

const cleanups: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const CREDENTIALS = { accessKeyId: 'id', secretAccessKey: 'secret', sessionToken: 'token' };

function clientOf(endpoint: string, options: S3ClientConfig = {}): S3Client {
  const common = { endpoint, region: 'eu-central-1', forcePathStyle: true, credentials: CREDENTIALS };
  const client = new S3Client({ ...common, ...options });
  cleanups.push(() => client.destroy());
  return client;
}

interface Seen {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** Keeps every request, and answers as it is told. */
async function listen(answer: (response: ServerResponse, count: number) => void) {
  const seen: Seen[] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const part of request) body += part;
    const { method, url, headers } = request;
    seen.push({ method, url, headers, body });
    answer(response, seen.length);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(
    () => server.close(),
    () => server.closeAllConnections(),
  );
  return { seen, endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

const text = (value: string) => new TextEncoder().encode(value);

/** Every request that there is, with every option. */
async function askEverything(store: ObjectStore, key: string): Promise<void> {
  await store.head(key, { versionId: 'v 1+/' });
  await store.get(key);
  await store.get(key, { ifMatch: 'abc', versionId: 'v1', range: { start: 2, end: 5 } }).catch(() => undefined);
  await store.put(key, text('photo'), { ifAbsent: true, type: 'image/jpeg', metadata: { 'Elfin-Mark': 'a b' } });
  await store.put(key, text('photo'), { ifMatch: 'abc', tags: { 'a b': 'c&d', e: '' }, storageClass: 'GLACIER' });
  await store.put(key, new Uint8Array());
  await store.delete(key);
  await store.delete(key, { ifMatch: 'abc' });
}

// What only tells the SDK from others, or how it guards a body that the signature guards as well.
const OWN =
  /^(user-agent|x-amz-user-agent|amz-sdk-.*|x-amz-checksum-.*|x-amz-sdk-checksum-algorithm|x-id|authorization|x-amz-date|connection)$/;
const told = ({ method, url, headers, body }: Seen) => ({
  method,
  url: url?.replace(/([?&])x-id=\w+&?/, '$1').replace(/[?&]$/, ''),
  headers: Object.fromEntries(Object.entries(headers).filter(([name]) => !OWN.test(name))),
  body,
});

describe('the short way', () => {
  it.each([...awkwardKeys(8), 'a//b/ c', 'q?a=1#b*()!~'])('asks for %j as the SDK does', async (key) => {
    const answer = (response: ServerResponse) => response.writeHead(200, { etag: '"abc"' }).end();
    const { seen, endpoint } = await listen(answer);
    const put = {
      ServerSideEncryption: 'aws:kms',
      SSEKMSKeyId: 'key',
      CacheControl: 'no-store',
      ACL: undefined,
    } as const;
    for (const direct of [true, false]) {
      await askEverything(createS3Storage({ client: clientOf(endpoint), bucket: 'photos', put, direct }), key);
    }
    expect(seen).toHaveLength(16);
    expect(seen.slice(0, 8).map(told)).toEqual(seen.slice(8).map(told));
    for (const { headers } of seen) {
      expect(headers.authorization).toMatch(/^AWS4-HMAC-SHA256 Credential=id\/\d{8}\/eu-central-1\/s3\/aws4_request, /);
      expect(headers['x-amz-security-token']).toBe('token');
    }
    // None of the first eight went through the SDK.
    expect(seen.map(({ headers }) => 'amz-sdk-request' in headers)).toEqual(seen.map((_, index) => index >= 8));
  });

  const amazon: [string, S3ClientConfig, string, string][] = [
    ['by the bucket in the host', {}, 'photos', 'photos.s3.eu-central-1.amazonaws.com/a%20b.jpg'],
    ['by the path', { forcePathStyle: true }, 'photos', 's3.eu-central-1.amazonaws.com/photos/a%20b.jpg'],
    ['by the path, where the name has dots', {}, 'my.photos', 's3.eu-central-1.amazonaws.com/my.photos/a%20b.jpg'],
    ['over IPv6', { useDualstackEndpoint: true }, 'photos', 'photos.s3.dualstack.eu-central-1.amazonaws.com/a%20b.jpg'],
    ['accelerated', { useAccelerateEndpoint: true }, 'photos', 'photos.s3-accelerate.amazonaws.com/a%20b.jpg'],
    [
      'through an access point',
      {},
      'arn:aws:s3:eu-central-1:111122223333:accesspoint/mine',
      'mine-111122223333.s3-accesspoint.eu-central-1.amazonaws.com/a%20b.jpg',
    ],
  ];
  it.each(amazon)('finds a bucket at Amazon %s', async (_, options, bucket, place) => {
    const asked: { readonly place: string; readonly direct: boolean }[] = [];
    // Nothing leaves the machine: the client's own handler answers.
    const requestHandler = {
      async handle({ hostname, path, headers }: HttpRequest) {
        asked.push({ place: `${hostname}${path}`, direct: !('amz-sdk-request' in headers) });
        return { response: new HttpResponse({ statusCode: 200, headers: { etag: '"abc"' } }) };
      },
    };
    const client = new S3Client({ region: 'eu-central-1', credentials: CREDENTIALS, requestHandler, ...options });
    for (const direct of [true, false]) await createS3Storage({ client, bucket, direct }).head('a b.jpg');
    expect(asked).toEqual([
      { place, direct: true },
      { place, direct: false },
    ]);
  });

  it('gives back what the SDK gives back', async () => {
    const s3 = await startS3();
    cleanups.push(() => s3.close());
    const client = clientOf(s3.endpoint);
    const both = [true, false].map((direct) => createS3Storage({ client, bucket: 'photos', direct }));
    await both[0]!.put('a.jpg', text('photo'), { type: 'image/jpeg', metadata: { camera: 'test' }, tags: { a: 'b' } });
    const [one, other] = await Promise.all(both.map((store) => store.head('a.jpg')));
    expect(one).toEqual(other);
    expect(one).toMatchObject({ size: 5, type: 'image/jpeg', metadata: { camera: 'test' } });
    for (const store of both) {
      expect((await bytesAt(store, 'a.jpg')).toString()).toBe('photo');
      expect(await store.get('a.jpg', { ifMatch: 'another' })).toBe('changed');
      expect(await store.get('nothing')).toBeUndefined();
      expect(await store.head('nothing')).toBeUndefined();
      expect(await store.put('a.jpg', text('x'), { ifAbsent: true })).toBe('exists');
      expect(await store.put('a.jpg', text('x'), { ifMatch: 'another' })).toBe('conflict');
      expect(await store.put('nothing', text('x'), { ifMatch: 'another' })).toBe('conflict');
      expect(await store.delete('a.jpg', { ifMatch: 'another' })).toBe(false);
      expect(await store.delete('nothing')).toBe(true);
    }
    expect(await both[0]!.delete('a.jpg', { ifMatch: one!.etag })).toBe(true);
  });

  it.each([
    ['directly', true],
    ['by the SDK', false],
  ])('keeps user metadata outside ASCII %s, also what came as raw UTF-8', async (_, direct) => {
    const s3 = await startS3();
    cleanups.push(() => s3.close());
    const store = createS3Storage({ client: clientOf(s3.endpoint), bucket: 'photos', direct });
    const place = 'Süd, 写真 🌧️ '.repeat(8).trim();
    await store.put('a.jpg', text('photo'), { metadata: { place, camera: 'test' } });
    const [sent] = [...s3.objects.values()];
    expect(sent?.metadata['x-amz-meta-place']).toMatch(/^(=\?UTF-8\?B\?[\w+/=]+\?= ?)+$/);
    expect((await store.head('a.jpg'))?.metadata).toEqual({ place, camera: 'test' });
    s3.objects.set('b.jpg', { ...sent!, metadata: { 'x-amz-meta-place': Buffer.from(place).toString('latin1') } });
    const found = await store.get('b.jpg');
    expect(found).toMatchObject({ metadata: { place } });
  });

  it('leaves retries to the SDK', async () => {
    const faults = [503, 500];
    const s3 = await startS3({ fault: () => faults.shift() });
    cleanups.push(() => s3.close());
    const store = createS3Storage({ client: clientOf(s3.endpoint), bucket: 'photos' });
    expect(await store.put('a.jpg', text('photo'))).toHaveProperty('etag');
    // A connection that breaks amid a request.
    faults.push(0);
    expect(await store.head('a.jpg')).toMatchObject({ size: 5 });
    expect(faults).toEqual([]);
  });

  it('goes on where the server has closed an idle connection', async () => {
    const { seen, endpoint } = await listen((response) => {
      response.writeHead(200, { etag: '"abc"' }).end(() => response.socket?.destroy());
    });
    const store = createS3Storage({ client: clientOf(endpoint), bucket: 'photos' });
    for (let i = 0; i < 5; i++) expect(await store.put(`${i}`, text('x'))).toEqual({ etag: 'abc' });
    expect(new Set(seen.map(({ url }) => url?.split('?')[0])).size).toBe(5);
  });

  it('uses one connection again and again, whatever the answers', async () => {
    const sockets = new Set<unknown>();
    const { endpoint } = await listen((response, count) => {
      sockets.add(response.socket);
      // Put, delete, head; of a HEAD without a length Node's server closes the connection.
      const [status, headers, body] = (
        [
          [412, {}, '<Error/>'],
          [204, {}, undefined],
          [200, { 'content-length': 5 }, undefined],
        ] as const
      )[(count - 1) % 3]!;
      response.writeHead(status, { etag: '"abc"', ...headers }).end(body);
    });
    const store = createS3Storage({ client: clientOf(endpoint), bucket: 'photos' });
    await store.put('a', text('x'), { ifAbsent: true });
    await store.delete('a');
    await store.head('a');
    await store.put('a', text('x'), { ifAbsent: true });
    await store.delete('a');
    expect(sockets.size).toBe(1);
  });

  it('stops with the caller, before and amid a request', async () => {
    const { endpoint } = await listen(() => stop.abort());
    const stop = new AbortController();
    const store = createS3Storage({ client: clientOf(endpoint), bucket: 'photos' });
    await expect(store.get('a', { signal: stop.signal })).rejects.toMatchObject({ code: 'ABORTED' });
    await expect(store.head('a', { signal: stop.signal })).rejects.toMatchObject({ code: 'ABORTED' });
  });

  it('signs by the clock that the SDK has set', async () => {
    const client = clientOf('http://127.0.0.1:1');
    const { seen, endpoint } = await listen((response) => response.writeHead(200, { etag: '"abc"' }).end());
    const late = clientOf(endpoint, { systemClockOffset: 3_600_000 });
    expect(client.config.systemClockOffset).toBe(0);
    await createS3Storage({ client: late, bucket: 'photos' }).head('a');
    const date = String(seen[0]!.headers['x-amz-date']).replace(/^(....)(..)(..T..)(..)(..Z)$/, '$1-$2-$3:$4:$5');
    expect(Math.abs(Date.parse(date) - Date.now() - 3_600_000)).toBeLessThan(60_000);
  });
});

describe('the long way', () => {
  const ways: [string, (endpoint: string) => S3StorageOptions][] = [
    ['where it is asked for', (endpoint) => ({ client: clientOf(endpoint), bucket: 'photos', direct: false })],
    [
      'where the client has middleware of its own, which sees every request',
      (endpoint) => {
        const client = clientOf(endpoint);
        client.middlewareStack.add((next) => (args) => next(args), { step: 'build', name: 'tracing' });
        return { client, bucket: 'photos' };
      },
    ],
  ];
  it.each(ways)('is taken %s', async (_, optionsOf) => {
    const { seen, endpoint } = await listen((response) => response.writeHead(200, { etag: '"abc"' }).end());
    await createS3Storage(optionsOf(endpoint)).head('a.jpg');
    expect(seen).toHaveLength(1);
    expect(seen[0]!.headers).toHaveProperty('amz-sdk-request');
  });

  it('is taken to directory buckets, which sign with a session', async () => {
    const { seen, endpoint } = await listen((response) => response.writeHead(403).end());
    const client = clientOf(endpoint, { forcePathStyle: false });
    const store = createS3Storage({ client, bucket: 'photos--euc1-az1--x-s3' });
    await store.head('a.jpg').catch(() => undefined);
    expect(seen.every(({ headers }) => 'amz-sdk-request' in headers)).toBe(true);
  });
});
