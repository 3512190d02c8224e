import { ElfinError } from '@elfin/core';
import { expect, test } from 'vitest';
import { MODEL, ORIGIN, picture } from './scene.ts';
import { bytesOf, type Scene } from './set-up.ts';

/** What a request is answered with, and how long caches may keep it. */
export function testAnswers(scene: Scene): void {
  const { codec, setUp } = scene;
  test('a signed URL is restored, fitted and encoded, and says what was done', async () => {
    const { get, inverter } = await setUp();
    const response = await get('restore=derain,width=32,format=png/rain.png');
    expect(response.status).toBe(200);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'image/png',
      'restore-status': 'restored',
      'cache-control': 'public, max-age=3600, stale-while-revalidate=1800',
      'content-security-policy': "default-src 'none'; sandbox",
      'x-content-type-options': 'nosniff',
      'cross-origin-resource-policy': 'cross-origin',
      'elfin-info': expect.stringMatching(
        /^ifsz=\d+ idim=64x48 ifmt=png ofsz=\d+ odim=32x24 ofmt=png rt=derain-lw-test-0123456789ab tiles=1 by=local cache=miss$/,
      ),
      etag: expect.stringMatching(/^"[0-9a-f]{64}"$/),
    });
    expect(response.headers.get('server-timing')).toMatch(/fetch;dur=.*decode;dur=.*infer;dur=.*encode;dur=/);
    const image = await codec.decode(await bytesOf(response));
    expect([image.width, image.height]).toEqual([32, 24]);
    // Top left of the gradient is (0, 0, 90); inverted it is nearly (255, 255, 165).
    expect([...image.data.subarray(0, 3)].map((value, at) => Math.abs(value - [250, 250, 165][at]!) < 8)).toEqual([
      true,
      true,
      true,
    ]);
    expect(inverter.state.runs).toBe(1);
  });

  test('the second request is a hit with the same bytes; 304 and HEAD carry the same headers', async () => {
    const { get, inverter, origin } = await setUp();
    const path = 'restore=derain,format=png/rain.png';
    const first = await get(path);
    const body = await bytesOf(first);
    const second = await get(path);
    expect(await bytesOf(second)).toEqual(body);
    expect(second.headers.get('elfin-info')).toContain('cache=hit');
    const etag = first.headers.get('etag') as string;
    expect(second.headers.get('etag')).toBe(etag);
    const unchanged = await get(path, { 'if-none-match': `W/${etag}` });
    expect([unchanged.status, (await bytesOf(unchanged)).length, unchanged.headers.get('etag')]).toEqual([
      304,
      0,
      etag,
    ]);
    const head = await get(path, {}, 'HEAD');
    expect([head.status, (await bytesOf(head)).length, head.headers.get('content-length')]).toEqual([
      200,
      0,
      String(body.length),
    ]);
    expect([inverter.state.runs, origin.state.reads]).toEqual([1, 1]);
  });

  test('format=auto varies by Accept in three buckets, each kept apart', async () => {
    const { get, inverter } = await setUp();
    const types: (string | null)[] = [];
    for (const accept of ['image/avif,image/webp,*/*', 'image/webp,*/*;q=0.8', '*/*', 'image/webp', 'image/png']) {
      const response = await get('restore=derain/rain.png', { accept });
      types.push(response.headers.get('content-type'));
      expect(response.headers.get('vary')).toBe('Accept');
      expect((await codec.probe(await bytesOf(response))).width).toBe(64);
    }
    const best = codec.formats.includes('avif') ? 'image/avif' : 'image/webp';
    expect(types).toEqual([best, 'image/webp', 'image/jpeg', 'image/webp', 'image/jpeg']);
    // All of them are made from one restoration.
    expect(inverter.state.runs).toBe(1);
    expect((await get('restore=derain,format=jpeg/rain.png')).headers.get('vary')).toBeNull();
  });

  test('alpha survives format=auto as PNG', async () => {
    const { get, origin } = await setUp();
    origin.objects.set('/alpha.png', { bytes: await codec.encode(picture(8, 8, 4), { format: 'png' }), etag: '"a"' });
    const response = await get('restore=none/alpha.png');
    expect([response.headers.get('content-type'), response.headers.get('restore-status')]).toEqual([
      'image/png',
      'passthrough',
    ]);
  });

  test('format=json tells what was done instead of the image', async () => {
    const { get } = await setUp();
    const response = await get('restore=derain,width=32,format=json/rain.png');
    expect(response.headers.get('content-type')).toBe('application/json');
    expect(await response.json()).toMatchObject({
      input: { width: 64, height: 48, format: 'png' },
      output: { width: 32, height: 24, format: 'jpeg' },
      restored: { task: 'derain', model: MODEL.name, by: 'local', tiles: 1 },
      cache: 'miss',
    });
    const image = await get('restore=derain,width=32,format=jpeg/rain.png');
    // Weak: the times and the cache's state in it are those of one answer.
    const etag = response.headers.get('etag') as string;
    expect(etag).toBe(`W/${image.headers.get('etag')?.slice(0, -1)}.json"`);
    const again = await get('restore=derain,width=32,format=json/rain.png', { 'if-none-match': etag });
    expect(again.status).toBe(304);
  });

  test('a changed source is noticed after its time to live, an unchanged one costs a conditional request', async () => {
    const { get, origin, inverter } = await setUp({ sourceTtl: 0 });
    const path = 'restore=derain,format=png/rain.png';
    const first = await get(path);
    const again = await get(path);
    expect(again.headers.get('elfin-info')).toContain('cache=revalidated');
    expect([origin.state.conditional, inverter.state.runs, again.headers.get('etag')]).toEqual([
      1,
      1,
      first.headers.get('etag'),
    ]);
    origin.objects.set('/rain.png', { bytes: await codec.encode(picture(16, 16), { format: 'png' }), etag: '"v2"' });
    const changed = await get(path);
    expect(changed.headers.get('elfin-info')).toContain('idim=16x16');
    expect(changed.headers.get('etag')).not.toBe(first.headers.get('etag'));
    origin.state.down = new ElfinError('SOURCE_FAILED', 'down');
    const stale = await get(path);
    expect([stale.status, stale.headers.get('etag'), stale.headers.get('cache-control')]).toEqual([
      200,
      changed.headers.get('etag'),
      'public, max-age=5',
    ]);
  });

  test('new weights and a new codec reach a URL that was served before, even one that never changes', async () => {
    for (const immutable of [false, true]) {
      let { digest } = MODEL;
      const models = {
        resolve: async () => ({ ...MODEL, digest, manifest: {} as never, bytes: async () => new Uint8Array() }),
      };
      const { get, origin, inverter, store, png } = await setUp({ models });
      origin.objects.set('/rain.png', { bytes: png, etag: '"v1"', immutable });
      const path = 'restore=derain,format=png/rain.png';
      const first = await get(path);
      digest = 'f'.repeat(64);
      origin.state.down = new ElfinError('SOURCE_FAILED', 'down');
      const stale = await get(path);
      expect([stale.headers.get('etag'), stale.headers.get('cache-control')]).toEqual([
        first.headers.get('etag'),
        'public, max-age=5',
      ]);
      origin.state.down = undefined;
      const second = await get(path);
      expect(second.headers.get('etag')).not.toBe(first.headers.get('etag'));
      expect((await get(path)).headers.get('elfin-info')).toContain('cache=hit');
      const next = await setUp({ models, store, codec: { ...codec, version: 'next' } });
      next.origin.objects.set('/rain.png', { bytes: png, etag: '"v1"', immutable });
      const third = await next.get(path);
      expect([first, second].map(({ headers }) => headers.get('etag'))).not.toContain(third.headers.get('etag'));
      expect([inverter.state.runs, next.inverter.state.runs]).toEqual([2, 1]);
    }
  });

  test('weights that cannot be had for the moment hold back nothing that is there', async () => {
    let gone = false;
    const models = {
      async resolve() {
        if (gone) throw new ElfinError('NETWORK_FAILED', 'no network');
        return { ...MODEL, manifest: {} as never, bytes: async () => new Uint8Array() };
      },
    };
    const { get } = await setUp({ models });
    await get('restore=derain/rain.png');
    gone = true;
    expect((await get('restore=derain/rain.png')).headers.get('elfin-info')).toContain('cache=hit');
  });

  test('bytes that can never change are cached for a year, but not longer than the signature lives', async () => {
    const { edge, origin, get, url, png } = await setUp();
    origin.objects.set('/fixed.png', { bytes: png, etag: '"f"', immutable: true });
    expect((await get('restore=none/fixed.png')).headers.get('cache-control')).toBe(
      'public, max-age=31536000, immutable',
    );
    const short = await edge.app.request(await url('restore=none/fixed.png', 100));
    expect(Number(/max-age=(\d+)/.exec(short.headers.get('cache-control') ?? '')?.[1])).toBeLessThanOrEqual(101);
  });

  test('what the origin keeps from shared caches is told to them, and no-store is kept nowhere', async () => {
    const { get, origin, store, inverter, png } = await setUp();
    const path = 'restore=derain,format=png/rain.png';
    origin.objects.set('/rain.png', { bytes: png, etag: '"v1"', scope: 'private', immutable: true });
    for (const cache of ['miss', 'hit']) {
      const response = await get(path);
      expect(response.headers.get('cache-control')).toBe('private, max-age=31536000, immutable');
      expect(response.headers.get('elfin-info')).toContain(`cache=${cache}`);
    }
    if (scene.background === 'queue') return;
    const other = await codec.encode(picture(40, 24), { format: 'png' });
    origin.objects.set('/secret.png', { bytes: other, etag: '"v2"', scope: 'no-store' });
    const kept = async () => [await store.list('result/'), await store.list('ref/')].flatMap(({ objects }) => objects);
    const before = (await kept()).length;
    const response = await get('restore=derain,format=png/secret.png');
    expect([response.headers.get('cache-control'), response.headers.get('cdn-cache-control')]).toEqual([
      'no-store',
      'no-store',
    ]);
    expect(await kept()).toHaveLength(before);
    // Whoever was sent away while it was made finds it for some seconds, in memory.
    await get('restore=derain,format=png/secret.png');
    expect(inverter.state.runs).toBe(2);
  });

  test('purging a source makes the next request ask it', async () => {
    const { get, edge, origin } = await setUp();
    await get('restore=derain/rain.png');
    await get('restore=none/rain.png');
    expect(await edge.results.purge({ source: `${ORIGIN}/rain.png` })).toBe(2);
    await get('restore=derain/rain.png');
    expect(origin.state.reads).toBe(3);
  });
}
