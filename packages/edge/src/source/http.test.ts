import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { createHttpSource } from './http.ts';
import { parseSource } from './name.ts';
import { createPinnedFetch } from './pinned-fetch.ts';
import { readCapped, type SourceFound } from './source.ts';

const LOOPBACK = ['127.0.0.0/8'];
const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of cleanup.splice(0)) await close();
});

async function serve(handler: RequestListener): Promise<{ origin: string; seen: IncomingMessage[] }> {
  const seen: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    seen.push(request);
    handler(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanup.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

/** A source whose names all resolve to loopback: the checks under test are ours, not the network's. */
function source(options: {
  allow: string[];
  networks?: string[];
  timeout?: number;
  base?: string;
  addresses?: string[];
  respectCacheControl?: boolean | undefined;
}) {
  const { addresses = ['127.0.0.1'], ...rest } = options;
  const resolve = ((_: string, __: unknown, callback: (...results: unknown[]) => void) =>
    callback(
      null,
      addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    )) as never;
  const fetch = createPinnedFetch({ ...(rest.networks ? { networks: rest.networks } : {}), resolve });
  cleanup.push(fetch.close);
  return createHttpSource({ ...rest, fetch });
}

const code = (code: string) => expect.objectContaining({ code });

describe('http source', () => {
  test.each([
    [undefined, 'public'],
    ['public, max-age=60', 'public'],
    ['private, max-age=60', 'private'],
    ['private="set-cookie"', 'private'],
    ['max-age=0, No-Store, private', 'no-store'],
  ])('Cache-Control: %s lets caches keep it as %s', async (header, scope) => {
    const { origin } = await serve((_, response) => {
      response.writeHead(200, header ? { 'cache-control': header } : {}).end('bytes');
    });
    const read = async (respectCacheControl?: boolean) =>
      source({ allow: [origin], networks: LOOPBACK, respectCacheControl }).read(parseSource(`${origin}/a.jpg`));
    expect(await read()).toMatchObject({ scope });
    expect(await read(false)).toMatchObject({ scope: 'public' });
  });

  test('reads bytes, revision and a strong validator, and sends neither cookies nor credentials', async () => {
    const { origin, seen } = await serve((_, response) => {
      response
        .writeHead(200, { etag: '"v1"', 'last-modified': 'Thu, 01 Jan 2026 00:00:00 GMT', 'set-cookie': 'a=b' })
        .end('bytes');
    });
    const reader = source({ allow: [origin], networks: LOOPBACK });
    const found = (await reader.read(parseSource(`${origin}/a.jpg?v=1`), { traceparent: '00-x' })) as SourceFound;
    expect(found).toMatchObject({ validator: { etag: 'v1' }, revision: { etag: '"v1"' }, pinned: false });
    expect(new TextDecoder().decode(await readCapped(found, 100))).toBe('bytes');
    await reader.read(parseSource(`${origin}/b.jpg`));
    expect(seen.map(({ url }) => url)).toEqual(['/a.jpg?v=1', '/b.jpg']);
    for (const { headers } of seen) {
      expect(headers).toMatchObject({ 'elfin-hop': '1', via: '1.1 elfin', 'accept-encoding': 'identity' });
      expect(Object.keys(headers)).not.toEqual(expect.arrayContaining(['cookie']));
      expect(Object.keys(headers)).not.toEqual(expect.arrayContaining(['authorization']));
    }
    expect(seen[0]?.headers.traceparent).toBe('00-x');
  });

  test('asks conditionally and understands 304; a weak ETag pins nothing; immutable pins what lasts a year', async () => {
    const { origin } = await serve((request, response) => {
      const age = request.url === '/a' ? 31_536_000 : 9;
      if (request.headers['if-none-match'] === 'W/"w"') response.writeHead(304).end();
      else response.writeHead(200, { etag: 'W/"w"', 'cache-control': `public, max-age=${age}, immutable` }).end('x');
    });
    const reader = source({ allow: [origin], networks: LOOPBACK });
    const found = (await reader.read(parseSource(`${origin}/a`))) as SourceFound;
    expect([found.validator, found.pinned]).toEqual([undefined, true]);
    await expect(reader.read(parseSource(`${origin}/b`))).resolves.toMatchObject({ pinned: false });
    await expect(reader.read(parseSource(`${origin}/a`), { known: found.revision })).resolves.toEqual({
      state: 'same',
    });
  });

  test('what the target of a redirect says of itself is not said of the name that led there', async () => {
    let target = '/a';
    const { origin, seen } = await serve((request, response) => {
      const modified = request.url === '/a' ? 'Wed, 01 May 2024 00:00:00 GMT' : 'Mon, 01 Jan 2024 00:00:00 GMT';
      const since = Date.parse(request.headers['if-modified-since'] ?? '');
      if (request.url === '/latest') response.writeHead(302, { location: target }).end();
      else if (since >= Date.parse(modified)) response.writeHead(304).end();
      else {
        const cached = { 'cache-control': 'max-age=31536000, immutable', 'last-modified': modified, etag: '"same"' };
        response.writeHead(200, cached).end(request.url);
      }
    });
    const reader = source({ allow: [origin], networks: LOOPBACK });
    const latest = parseSource(`${origin}/latest`);
    const { revision, pinned, validator } = (await reader.read(latest)) as SourceFound;
    expect([pinned, validator, revision.url]).toEqual([false, undefined, `${origin}/a`]);
    await expect(reader.read(latest, { known: revision })).resolves.toEqual({ state: 'same' });
    target = '/b';
    const moved = (await reader.read(latest, { known: revision })) as SourceFound;
    expect(new TextDecoder().decode(await readCapped(moved, 100))).toBe('/b');
    expect(seen.map(({ headers }) => 'if-none-match' in headers)).toEqual([false, false, false, true, false, false]);
    // A revision of an older version of elfin does not say whose it is.
    await expect(reader.read(latest, { known: { etag: '"same"' } })).resolves.toMatchObject({ state: 'found' });
  });

  test.each([
    [404, 'SOURCE_MISSING'],
    [410, 'SOURCE_MISSING'],
    [401, 'SOURCE_FORBIDDEN'],
    [403, 'SOURCE_FORBIDDEN'],
    [451, 'SOURCE_FORBIDDEN'],
    [500, 'SOURCE_FAILED'],
    [206, 'SOURCE_FAILED'],
    [204, 'SOURCE_FAILED'],
    [304, 'SOURCE_FAILED'],
  ])('status %i is %s', async (status, expected) => {
    const { origin } = await serve((_, response) => response.writeHead(status).end());
    await expect(source({ allow: [origin], networks: LOOPBACK }).read(parseSource(`${origin}/a`))).rejects.toEqual(
      code(expected),
    );
  });

  test('follows three redirects, each checked again, and no fourth', async () => {
    const { origin, seen } = await serve((request, response) => {
      const left = Number(request.url?.slice(1));
      if (left > 0) response.writeHead(302, { location: `/${left - 1}` }).end();
      else response.end('there');
    });
    const reader = source({ allow: [origin], networks: LOOPBACK });
    await expect(reader.read(parseSource(`${origin}/3`))).resolves.toMatchObject({ state: 'found' });
    expect(seen).toHaveLength(4);
    await expect(reader.read(parseSource(`${origin}/4`))).rejects.toEqual(code('SOURCE_FAILED'));
  });

  test.each([
    'http://169.254.169.254/latest/meta-data/',
    'http://[::1]/',
    'http://localhost/',
    'http://evil.example/',
    'file:///etc/passwd',
    'http://allowed.example@evil.example/',
    'gopher://127.0.0.1/',
    '//evil.example/',
    'http://0x7f.0.0.1/',
    'http://2130706433/',
    'http:\\\\evil.example\\',
    's3://bucket/key',
    'data:image/png;base64,AAAA',
    'http://[::ffff:169.254.169.254]/',
    '',
  ])('a redirect to %j is refused', async (location) => {
    const { origin, seen } = await serve((_, response) => response.writeHead(302, { location }).end());
    const refusal = source({ allow: [origin], networks: LOOPBACK }).read(parseSource(`${origin}/a`));
    await expect(refusal).rejects.toMatchObject({ code: location === '' ? 'SOURCE_FAILED' : 'SOURCE_FORBIDDEN' });
    expect(seen).toHaveLength(1);
  });

  test.each([
    'http://127.0.0.1',
    'http://0',
    'http://0x7f000001',
    'http://017700000001',
    'http://2130706433',
    'http://127.1',
    'http://[::1]',
    'http://[::ffff:127.0.0.1]',
    'http://[::127.0.0.1]',
    'http://[64:ff9b::7f00:1]',
    'http://[2002:7f00:1::]',
    'http://169.254.169.254',
    'http://100.64.0.1',
    'http://10.0.0.1',
    'http://[fe80::1]',
    'http://[fd00::1]',
    'http://①②⑦.⓪.⓪.①',
  ])('the literal address %s is refused even when the allow-list names it', async (origin) => {
    await expect(source({ allow: [origin] }).read(parseSource(`${origin}/a`))).rejects.toEqual(
      code('SOURCE_FORBIDDEN'),
    );
  });

  test.each([['127.0.0.1'], ['10.0.0.8'], ['169.254.169.254'], ['::1'], ['::ffff:127.0.0.1'], ['fd00::1']])(
    'an allowed name that resolves to %s is refused at connect',
    async (address) => {
      const { origin, seen } = await serve((_, response) => response.end('secret'));
      const { port } = new URL(origin);
      const reader = source({ allow: [`http://allowed.example:${port}`], addresses: [address] });
      await expect(reader.read(parseSource(`http://allowed.example:${port}/a`))).rejects.toEqual(
        code('SOURCE_FORBIDDEN'),
      );
      expect(seen).toHaveLength(0);
    },
  );

  test('of several addresses only those that pass are connected to', async () => {
    const { origin } = await serve((_, response) => response.end('ok'));
    const { port } = new URL(origin);
    const options = {
      allow: [`http://allowed.example:${port}`],
      addresses: ['10.9.9.9', '127.0.0.1'],
      networks: LOOPBACK,
    };
    await expect(source(options).read(parseSource(`http://allowed.example:${port}/a`))).resolves.toMatchObject({
      state: 'found',
    });
  });

  test('a path is read below the base, each segment as itself', async () => {
    const { origin, seen } = await serve((_, response) => response.end('ok'));
    await source({ allow: [origin], networks: LOOPBACK, base: `${origin}/photos` }).read(parseSource('a b/c%2F..é'));
    expect(seen[0]?.url).toBe('/photos/a%20b/c%252F..%C3%A9');
  });

  test('a body over the cap is dropped at the first byte too many, whatever its length says', async () => {
    const { origin } = await serve((request, response) => {
      if (request.url === '/declared') response.writeHead(200, { 'content-length': '5000' });
      for (let sent = 0; sent < 5; sent++) response.write(new Uint8Array(1000));
      response.end();
    });
    const reader = source({ allow: [origin], networks: LOOPBACK });
    for (const path of ['/declared', '/chunked']) {
      const found = (await reader.read(parseSource(origin + path))) as SourceFound;
      await expect(readCapped(found, 4999)).rejects.toEqual(code('IMAGE_TOO_MANY_BYTES'));
    }
    expect((await readCapped((await reader.read(parseSource(`${origin}/chunked`))) as SourceFound, 5000)).length).toBe(
      5000,
    );
  });

  test('a stalled origin is SOURCE_TIMEOUT, at the headers as in the body; one that hangs up is SOURCE_FAILED', async () => {
    const { origin } = await serve((request, response) => {
      if (request.url === '/body') response.writeHead(200, { 'content-length': '10' }).write('half');
      if (request.url === '/cut') {
        response.writeHead(200, { 'content-length': '10' }).write('half');
        setTimeout(() => response.destroy(), 20);
      }
    });
    const reader = source({ allow: [origin], networks: LOOPBACK, timeout: 300 });
    await expect(reader.read(parseSource(`${origin}/headers`))).rejects.toEqual(code('SOURCE_TIMEOUT'));
    await expect(readCapped((await reader.read(parseSource(`${origin}/body`))) as SourceFound, 99)).rejects.toEqual(
      code('SOURCE_TIMEOUT'),
    );
    await expect(readCapped((await reader.read(parseSource(`${origin}/cut`))) as SourceFound, 99)).rejects.toEqual(
      code('SOURCE_FAILED'),
    );
    const nobody = await serve(() => undefined);
    for (const close of cleanup.splice(cleanup.length - 1)) await close();
    await expect(
      source({ allow: [nobody.origin], networks: LOOPBACK }).read(parseSource(nobody.origin)),
    ).rejects.toEqual(code('SOURCE_FAILED'));
  });
});
