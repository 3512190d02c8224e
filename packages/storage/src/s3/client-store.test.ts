import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  S3Client,
  type S3ClientConfig,
} from '@aws-sdk/client-s3';
import type { ObjectStore } from '@elfin/storage';
import { sendByFetch } from '@elfin/storage';
import { createClientStore } from '@elfin/storage/aws';
import { afterEach, describe, expect, it } from 'vitest';
import { startS3 } from '../../../../test/helpers/s3-server.ts';
import { awkwardKeys } from '../../../../test/helpers/storm.ts';

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

const WRITE = { serverSideEncryption: 'aws:kms', kmsKeyId: 'key', cacheControl: 'no-store' } as const;
const EXTRA = { ServerSideEncryption: 'aws:kms', SSEKMSKeyId: 'key', CacheControl: 'no-store' } as const;

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

/** The same by the SDK. */
async function askBySdk(client: S3Client, Key: string): Promise<void> {
  const at = { Bucket: 'photos', Key };
  const write = { ...at, ...EXTRA, ContentType: 'application/octet-stream' };
  await client.send(new HeadObjectCommand({ ...at, VersionId: 'v 1+/' }));
  await client.send(new GetObjectCommand(at));
  await client.send(new GetObjectCommand({ ...at, IfMatch: '"abc"', VersionId: 'v1', Range: 'bytes=2-5' }));
  const Metadata = { 'Elfin-Mark': 'a b' };
  const Body = text('photo');
  await client.send(new PutObjectCommand({ ...write, Body, IfNoneMatch: '*', ContentType: 'image/jpeg', Metadata }));
  const Tagging = 'a%20b=c%26d&e=';
  await client.send(new PutObjectCommand({ ...write, Body, IfMatch: '"abc"', Tagging, StorageClass: 'GLACIER' }));
  await client.send(new PutObjectCommand({ ...write, Body: new Uint8Array() }));
  await client.send(new DeleteObjectCommand(at));
  await client.send(new DeleteObjectCommand({ ...at, IfMatch: '"abc"' }));
}

// What only tells clients from each other, or how they guard a body that the signature guards as well.
const OWN =
  /^(user-agent|x-amz-user-agent|amz-sdk-.*|x-amz-checksum-.*|x-amz-sdk-checksum-algorithm|x-id|authorization|x-amz-date|connection|accept.*|sec-fetch-mode|content-length)$/;
const told = ({ method, url, headers, body }: Seen) => ({
  method,
  url: url?.replace(/([?&])x-id=\w+&?/, '$1').replace(/[?&]$/, ''),
  headers: Object.fromEntries(Object.entries(headers).filter(([name]) => !OWN.test(name))),
  body,
});

describe('requests', () => {
  it.each([...awkwardKeys(8), 'a//b/ c', 'q?a=1#b*()!~'])('for %j are those of the SDK', async (key) => {
    const answer = (response: ServerResponse) => response.writeHead(200, { etag: '"abc"' }).end();
    const { seen, endpoint } = await listen(answer);
    await askEverything(createClientStore({ client: clientOf(endpoint), bucket: 'photos', write: WRITE }), key);
    await askBySdk(clientOf(endpoint), key);
    expect(seen).toHaveLength(16);
    expect(seen.slice(0, 8).map(told)).toEqual(seen.slice(8).map(told));
    for (const { headers } of seen) {
      expect(headers.authorization).toMatch(/^AWS4-HMAC-SHA256 Credential=id\/\d{8}\/eu-central-1\/s3\/aws4_request, /);
      expect(headers['x-amz-security-token']).toBe('token');
    }
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
  it.each(amazon)('find a bucket at Amazon %s', async (_, options, bucket, place) => {
    const asked: string[] = [];
    // Nothing leaves the machine: neither the client's handler nor fetch is let out.
    const requestHandler = { handle: () => Promise.reject(new Error('sent')) } as never;
    const client = new S3Client({ region: 'eu-central-1', credentials: CREDENTIALS, requestHandler, ...options });
    const send = sendByFetch(async (url) => {
      asked.push(`${url.host}${url.pathname}`);
      return new Response(null, { headers: { etag: '"abc"' } });
    });
    await createClientStore({ client, bucket, send }).head('a b.jpg');
    expect(asked).toEqual([place]);
  });

  it.each(['photos--euc1-az1--x-s3', 'arn:aws:s3::111122223333:accesspoint/mfzwi23gnjvgw.mrap'])(
    'to %s, which take another signature, are refused',
    async (bucket) => {
      const requestHandler = { handle: () => Promise.reject(new Error('sent')) } as never;
      const client = new S3Client({ region: 'eu-central-1', credentials: CREDENTIALS, requestHandler, maxAttempts: 1 });
      await expect(createClientStore({ client, bucket }).head('a.jpg')).rejects.toMatchObject({
        code: expect.stringMatching(/CONFIG_INVALID|STORE_FAILED/),
      });
    },
  );

  it('keep user metadata outside ASCII, also what came as raw UTF-8', async () => {
    const s3 = await startS3();
    cleanups.push(() => s3.close());
    const store = createClientStore({ client: clientOf(s3.endpoint), bucket: 'photos' });
    const place = 'Süd, 写真 🌧️ '.repeat(8).trim();
    await store.put('a.jpg', text('photo'), { metadata: { place, camera: 'test' } });
    const [sent] = [...s3.objects.values()];
    expect(sent?.metadata['x-amz-meta-place']).toMatch(/^(=\?UTF-8\?B\?[\w+/=]+\?= ?)+$/);
    expect((await store.head('a.jpg'))?.metadata).toEqual({ place, camera: 'test' });
    s3.objects.set('b.jpg', { ...sent!, metadata: { 'x-amz-meta-place': Buffer.from(place).toString('latin1') } });
    expect(await store.get('b.jpg')).toMatchObject({ metadata: { place } });
  });

  it('are made again where they may pass the next time', async () => {
    const faults: number[] = [503, 500];
    const s3 = await startS3({ fault: () => faults.shift() });
    cleanups.push(() => s3.close());
    const store = createClientStore({ client: clientOf(s3.endpoint), bucket: 'photos' });
    expect(await store.put('a.jpg', text('photo'))).toHaveProperty('etag');
    // A connection that breaks amid a request.
    faults.push(0, 0);
    expect(await store.head('a.jpg')).toMatchObject({ size: 5 });
    expect(faults).toEqual([]);
    faults.push(503, 503, 503);
    await expect(store.head('a.jpg')).rejects.toMatchObject({ code: 'STORE_FAILED', retry: true });
  });

  it('go on where the server has closed an idle connection', async () => {
    const { seen, endpoint } = await listen((response) => {
      response.writeHead(200, { etag: '"abc"' }).end(() => response.socket?.destroy());
    });
    const store = createClientStore({ client: clientOf(endpoint), bucket: 'photos' });
    for (let i = 0; i < 5; i++) expect(await store.put(`${i}`, text('x'))).toEqual({ etag: 'abc' });
    expect(new Set(seen.map(({ url }) => url?.split('?')[0])).size).toBe(5);
  });

  it('use one connection again and again, whatever the answers', async () => {
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
    const store = createClientStore({ client: clientOf(endpoint), bucket: 'photos' });
    for (let i = 0; i < 5; i++) {
      await store.put('a', text('x'), { ifAbsent: true });
      await store.delete('a');
      await store.head('a');
    }
    // The second may be opened while the first one's answer is still being put away.
    expect(sockets.size).toBeLessThanOrEqual(2);
  });

  it('stop with the caller, before and amid a request', async () => {
    const { endpoint } = await listen(() => stop.abort());
    const stop = new AbortController();
    const store = createClientStore({ client: clientOf(endpoint), bucket: 'photos' });
    await expect(store.get('a', { signal: stop.signal })).rejects.toMatchObject({ code: 'ABORTED' });
    await expect(store.head('a', { signal: stop.signal })).rejects.toMatchObject({ code: 'ABORTED' });
  });

  const sentAt = (date: unknown) => Date.parse(String(date).replace(/^(....)(..)(..T..)(..)(..Z)$/, '$1-$2-$3:$4:$5'));

  it('are signed by the clock that the client was given, and by the server’s where that is wrong', async () => {
    const { seen, endpoint } = await listen((response, count) => {
      const headers = { etag: '"abc"', date: new Date(Date.now() - 7_200_000).toUTCString() };
      response.writeHead(count === 2 ? 403 : 200, headers).end();
    });
    const store = createClientStore({ client: clientOf(endpoint, { systemClockOffset: 3_600_000 }), bucket: 'photos' });
    await store.head('a');
    expect(Math.abs(sentAt(seen[0]!.headers['x-amz-date']) - Date.now() - 3_600_000)).toBeLessThan(60_000);
    // Refused, with a date of two hours ago: signed anew by that.
    await store.put('a', text('x'));
    expect(Math.abs(sentAt(seen[2]!.headers['x-amz-date']) - Date.now() + 7_200_000)).toBeLessThan(60_000);
  });

  it('name no key that a URL would resolve to another', async () => {
    const store = createClientStore({ client: clientOf('http://127.0.0.1:1'), bucket: 'photos' });
    await expect(store.get('a/../b')).rejects.toMatchObject({ code: 'KEY_UNSAFE' });
  });
});

describe('nothing waits for ever', () => {
  const timeouts = { firstByteMs: 150, idleMs: 150 };
  const storeOf = (endpoint: string) =>
    createClientStore({ client: clientOf(endpoint), bucket: 'photos', timeouts, attempts: 2 });
  const failed = { code: 'STORE_FAILED', retry: true };

  it('not for a server that accepts and never answers', async () => {
    const { seen, endpoint } = await listen(() => undefined);
    const store = storeOf(endpoint);
    await expect(store.head('a')).rejects.toMatchObject({ ...failed, message: expect.stringContaining('no answer') });
    await expect(store.get('a')).rejects.toMatchObject(failed);
    await expect(store.put('a', text('x'))).rejects.toMatchObject(failed);
    await expect(store.delete('a')).rejects.toMatchObject(failed);
    await expect(store.list('a')).rejects.toMatchObject(failed);
    expect(seen).toHaveLength(10);
  });

  it('not for the rest of a body, be it silent or a drip', async () => {
    const { endpoint } = await listen((response, count) => {
      response.writeHead(200, { etag: '"abc"', 'content-length': 100_000 }).write('x');
      if (count === 2) cleanups.push(() => clearInterval(drip));
      const drip = count === 2 ? setInterval(() => response.write('x'), 50) : undefined;
    });
    for (let i = 0; i < 2; i++) {
      const found = await storeOf(endpoint).get('a');
      await expect(new Response((found as { body: ReadableStream }).body).arrayBuffer()).rejects.toMatchObject(failed);
    }
  });

  it.each([
    ['breaks off', (response: ServerResponse) => response.write('half', () => response.destroy())],
    ['is shorter than it said', (response: ServerResponse) => response.socket?.end()],
  ])('nor is a body taken that %s', async (_, end) => {
    const { endpoint } = await listen((response) => {
      response.writeHead(200, { etag: '"abc"', 'content-length': 100 });
      response.flushHeaders();
      end(response);
    });
    const found = await storeOf(endpoint).get('a');
    await expect(new Response((found as { body: ReadableStream }).body).arrayBuffer()).rejects.toMatchObject(failed);
  });

  // Of the nine bytes 123456789: the catalogue of CRC algorithms' check values, and their SHA-256.
  it.each([
    ['crc32', 'cbf43926'],
    ['crc32c', 'e3069283'],
    ['crc64nvme', 'ae8b14860a799888'],
    ['sha256', '15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225'],
  ])('nor one that is not what its %s says', async (name, hex) => {
    const checksum = Buffer.from(hex, 'hex').toString('base64');
    const { endpoint } = await listen((response, count) => {
      response.writeHead(200, { etag: '"abc"', 'content-length': 9, [`x-amz-checksum-${name}`]: checksum });
      response.end(count === 1 ? '123456789' : '123456780');
    });
    // Without the short limits: on a busy machine they would have the good answer asked for twice.
    const store = createClientStore({ client: clientOf(endpoint), bucket: 'photos' });
    const read = async () => {
      const found = await store.get('a');
      return new Response((found as { body: ReadableStream }).body).text();
    };
    expect(await read()).toBe('123456789');
    await expect(read()).rejects.toMatchObject({ ...failed, message: expect.stringContaining('damaged') });
  });
});
