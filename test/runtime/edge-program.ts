import { type Codec, ElfinError, type ObjectStore, type PixelImage } from '@elfin/core';
import {
  type Background,
  createEdge,
  createLocalPlace,
  createMemoryStore,
  createResultStore,
  createSources,
  type Edge,
  type EdgeOptions,
  type PixelRestorer,
  type QueueMessage,
  type Source,
  type SourceReply,
} from '@elfin/edge';
import { describe, expect, test } from 'vitest';

/** What a runtime brings to the program. */
export interface Bench {
  readonly codec: Codec;
  /** A fresh store with conditional writes: the runtime's own. */
  readonly store: () => Promise<ObjectStore> | ObjectStore;
  /** Where jobs are kept, if not in the same. */
  readonly coordination?: () => ObjectStore;
  /** How work outlives its request there. */
  readonly background: 'process' | 'queue';
}

const ORIGIN = 'https://origin.example';
const KEY = { id: 'k1', secret: new Uint8Array(32).fill(7) };
const MODEL = { name: 'derain-lw-test-0123456789ab', digest: '0123456789ab'.padEnd(64, '0') };

/** A photo-like gradient, so that a lossy codec keeps it recognisable. */
function picture(width: number, height: number, channels: 3 | 4 = 3): PixelImage {
  const data = new Uint8Array(width * height * channels);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = (y * width + x) * channels;
      data.set([(x * 255) / width, (y * 255) / height, 90], at);
      if (channels === 4) data[at + 3] = 200;
    }
  }
  return { width, height, channels, data };
}

/** An origin whose objects, revisions and failures the tests set. */
function createOrigin() {
  const objects = new Map<string, { bytes: Uint8Array; etag: string; immutable?: boolean }>();
  const state = {
    reads: 0,
    conditional: 0,
    down: undefined as ElfinError | undefined,
    stall: undefined as Promise<void> | undefined,
  };
  const source: Source = {
    async read(name, request): Promise<SourceReply> {
      state.reads += 1;
      if (request?.known) state.conditional += 1;
      await state.stall;
      if (state.down) throw state.down;
      const object = name.kind === 'http' ? objects.get(name.url.pathname) : undefined;
      if (!object) throw new ElfinError('SOURCE_MISSING', 'The source does not exist.');
      if (request?.known?.etag === object.etag) return { state: 'same' };
      const body = new Response(object.bytes as Uint8Array<ArrayBuffer>).body as ReadableStream<Uint8Array>;
      return { state: 'found', body, revision: { etag: object.etag }, pinned: object.immutable ?? false };
    },
  };
  return { objects, state, source: createSources({ allow: [ORIGIN], sources: { http: source } }) };
}

/** A network that inverts, counts its runs, and holds until it is let go. */
function createInverter() {
  const state = { runs: 0, hold: undefined as Promise<void> | undefined, fail: undefined as ElfinError | undefined };
  const restorer: PixelRestorer = {
    async restore(image, { task, signal, onProgress }) {
      state.runs += 1;
      onProgress?.({ fraction: 0.5 });
      const stopped = new Promise<never>((_, reject) => {
        if (signal?.aborted) reject(signal.reason);
        signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
      });
      stopped.catch(() => undefined);
      await Promise.race([state.hold, stopped]);
      if (signal?.aborted) throw signal.reason;
      if (state.fail) throw state.fail;
      const inverted = Uint8Array.from(image.data, (value, at) => (at % image.channels === 3 ? value : 255 - value));
      const report = {
        task: task === 'auto' ? 'derain' : task,
        model: MODEL.name,
        digest: MODEL.digest,
        backend: { provider: 'test' },
        tiling: 'whole',
        tiles: 1,
      } as const;
      return { image: { ...image, data: inverted }, report };
    },
  };
  return { state, restorer };
}

function gate() {
  let open = () => {};
  const closed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { closed, open: () => open() };
}

/** The tests that an edge passes in every runtime, through its public face, with the runtime's own codec and store. */
export function edgeProgram(name: string, bench: Bench): void {
  const { codec } = bench;

  async function setUp(options: Partial<EdgeOptions> = {}) {
    const origin = createOrigin();
    const inverter = createInverter();
    const png = await codec.encode(picture(64, 48), { format: 'png' });
    origin.objects.set('/rain.png', { bytes: png, etag: '"v1"' });
    const messages: QueueMessage[] = [];
    const background: Background =
      bench.background === 'process'
        ? { kind: 'process' }
        : { kind: 'queue', send: async (message) => void messages.push(message) };
    const store = await bench.store();
    const edge = createEdge({
      ...(bench.coordination ? { coordination: bench.coordination() } : {}),
      keys: [KEY],
      source: origin.source,
      store,
      places: [createLocalPlace({ codec, restorer: inverter.restorer })],
      codec,
      models: { resolve: async () => ({ ...MODEL, manifest: {} as never, bytes: async () => new Uint8Array() }) },
      background,
      syncWait: 5_000,
      ...options,
    });
    const url = (path: string, ttl?: number) => sign(edge, path, ttl);
    const get = async (path: string, headers: Record<string, string> = {}, method = 'GET') =>
      edge.app.request(await url(path), { headers, method });
    /** Does what was queued, as the platform's consumer would; settles as the work does. */
    const consume = () => Promise.allSettled(messages.splice(0).map((message) => edge.consume(message)));
    return { origin, inverter, edge, store, get, url, messages, consume, png };
  }

  async function sign(edge: Edge, path: string, ttl?: number): Promise<string> {
    const slash = path.indexOf('/');
    const { parseTransform } = await import('@elfin/edge');
    const transform = parseTransform(`${path.slice(0, slash)}/${encodeURIComponent(ORIGIN + path.slice(slash))}`);
    return (edge.signer as NonNullable<Edge['signer']>).sign(transform, ttl === undefined ? {} : { ttl, window: 1 });
  }

  const bytesOf = async (response: Response) => new Uint8Array(await response.arrayBuffer());
  const problem = async (response: Response) => [response.status, ((await response.json()) as { code: string }).code];

  describe(`edge in ${name}: answers`, () => {
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
          /^ifsz=\d+ idim=64x48 ifmt=png ofsz=\d+ odim=32x24 ofmt=png rt=derain-lw-test-0123456789ab tiles=1 cache=miss$/,
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
      // Where AVIF cannot be written, its bucket leads to the WebP result that is there already.
      expect(inverter.state.runs).toBe(new Set(types).size);
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
      expect((await get('restore=derain,width=32,format=jpeg/rain.png')).headers.get('etag')).not.toBe(
        response.headers.get('etag'),
      );
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

    test('bytes that can never change are cached for a year, but not longer than the signature lives', async () => {
      const { edge, origin, get, url, png } = await setUp();
      origin.objects.set('/fixed.png', { bytes: png, etag: '"f"', immutable: true });
      expect((await get('restore=none/fixed.png')).headers.get('cache-control')).toBe(
        'public, max-age=31536000, immutable',
      );
      const short = await edge.app.request(await url('restore=none/fixed.png', 100));
      expect(Number(/max-age=(\d+)/.exec(short.headers.get('cache-control') ?? '')?.[1])).toBeLessThanOrEqual(101);
    });

    test('purging a source makes the next request ask it', async () => {
      const { get, edge, origin } = await setUp();
      await get('restore=derain/rain.png');
      await get('restore=none/rain.png');
      expect(await edge.results.purge({ source: `${ORIGIN}/rain.png` })).toBe(2);
      await get('restore=derain/rain.png');
      expect(origin.state.reads).toBe(3);
    });
  });

  describe(`edge in ${name}: refusals`, () => {
    test('unsigned, mis-signed, expired, malformed and looping requests', async () => {
      const { edge, url, origin } = await setUp();
      const signed = await url('restore=derain/rain.png');
      const at = async (path: string, init?: RequestInit) => problem(await edge.app.request(path, init));
      expect(await at(signed.split('?')[0] as string)).toEqual([403, 'SIGNATURE_INVALID']);
      expect(await at(signed.replace('derain', 'lowlight'))).toEqual([403, 'SIGNATURE_INVALID']);
      expect(await at(signed.replace('rain.png', 'other.png'))).toEqual([403, 'SIGNATURE_INVALID']);
      expect(await at(`${signed}&x=1`)).toEqual([400, 'URL_INVALID']);
      expect(await at(signed.replace('restore=derain', 'restore=derain,restore=derain'))).toEqual([
        400,
        'OPTION_INVALID',
      ]);
      expect(await at(signed, { headers: { 'elfin-hop': '1' } })).toEqual([508, 'LOOP_DETECTED']);
      expect(await at(signed, { method: 'POST' })).toEqual([405, 'METHOD_UNSUPPORTED']);
      expect(await at('/nowhere')).toEqual([404, 'ROUTE_UNKNOWN']);
      expect(origin.state.reads).toBe(0);
      const old = await (edge.signer as NonNullable<Edge['signer']>).sign(
        { options: { restore: 'derain' }, source: `${ORIGIN}/rain.png` },
        { ttl: 1, window: 1, now: Date.now() - 10_000 },
      );
      expect(await at(old)).toEqual([410, 'SIGNATURE_EXPIRED']);
      expect(origin.state.reads).toBe(0);
    });

    test('sources: not allowed, missing, broken, too large, no image', async () => {
      const { edge, get, origin } = await setUp({
        caps: { sourceBytes: 50_000, sourcePixels: 10_000, resultSide: 200 },
      });
      const signer = edge.signer as NonNullable<Edge['signer']>;
      const elsewhere = await signer.sign({ options: { restore: 'none' }, source: 'https://evil.example/a.png' });
      expect(await problem(await edge.app.request(elsewhere))).toEqual([403, 'SOURCE_FORBIDDEN']);
      const put = (bytes: Uint8Array) => origin.objects.set('/x', { bytes, etag: `"${bytes.length}"` });
      const of = async (bytes: Uint8Array) => {
        put(bytes);
        return problem(await get('restore=none/x'));
      };
      expect(await problem(await get('restore=none/missing.png'))).toEqual([404, 'SOURCE_MISSING']);
      expect(await of(new Uint8Array(50_001))).toEqual([413, 'IMAGE_TOO_MANY_BYTES']);
      expect(await of(new Uint8Array())).toEqual([422, 'IMAGE_EMPTY']);
      expect(
        await of(new TextEncoder().encode('<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>')),
      ).toEqual([415, 'IMAGE_UNSUPPORTED']);
      expect(await of(new TextEncoder().encode('<!doctype html><p>not found</p>'))).toEqual([415, 'IMAGE_UNSUPPORTED']);
      expect(await of(await codec.encode(picture(128, 96), { format: 'png' }))).toEqual([422, 'IMAGE_TOO_MANY_PIXELS']);
      expect(await of(await codec.encode(picture(250, 10), { format: 'png' }))).toEqual([422, 'IMAGE_TOO_MANY_PIXELS']);
      const whole = await codec.encode(picture(64, 48), { format: 'png' });
      expect(await of(whole.slice(0, whole.length / 2))).toEqual([422, 'IMAGE_TRUNCATED']);
      origin.state.down = new ElfinError('SOURCE_TIMEOUT', 'The source did not answer in time.');
      expect(await of(whole)).toEqual([504, 'SOURCE_TIMEOUT']);
    });

    test('onerror=redirect leads to the source, and never for a refused URL', async () => {
      const { get, edge, origin } = await setUp();
      origin.objects.set('/x', { bytes: new TextEncoder().encode('nothing'), etag: '"x"' });
      const response = await get('restore=none,onerror=redirect/x');
      expect([response.status, response.headers.get('location'), response.headers.get('cache-control')]).toEqual([
        302,
        `${ORIGIN}/x`,
        'no-store',
      ]);
      const unsigned = await edge.app.request(
        `/i/onerror=redirect,restore=none/${encodeURIComponent('https://evil.example/')}`,
      );
      expect([unsigned.status, unsigned.headers.get('location')]).toEqual([403, null]);
    });

    test('presets may go unsigned where the rules say so', async () => {
      const { edge } = await setUp({
        presets: { thumb: 'restore=derain,format=png' },
        unsigned: { presets: ['thumb'], widths: [32], sources: [ORIGIN] },
      });
      const source = encodeURIComponent(`${ORIGIN}/rain.png`);
      expect((await edge.app.request(`/i/preset=thumb,width=32/${source}`)).headers.get('elfin-info')).toContain(
        'odim=32x24',
      );
      expect((await edge.app.request(`/i/preset=thumb,width=33/${source}`)).status).toBe(403);
    });

    test('keys are needed, and no start without', () => {
      const { source } = createOrigin();
      expect(() => createEdge({ source, store: createMemoryStore(), places: [], codec })).toThrow(
        expect.objectContaining({ code: 'CONFIG_INVALID' }),
      );
    });
  });

  describe(`edge in ${name}: work that takes long`, () => {
    test('pending=original: the source in the same size and format, marked, kept nowhere; then the result', async () => {
      const { get, inverter, store, consume } = await setUp({ syncWait: 60 });
      const { closed, open } = gate();
      inverter.state.hold = closed;
      const path = 'restore=derain,width=32,format=png/rain.png';
      const response = await get(path);
      expect(response.status).toBe(200);
      expect(Object.fromEntries(response.headers)).toMatchObject({
        'content-type': 'image/png',
        'cache-control': 'no-store',
        'cdn-cache-control': 'no-store',
        'retry-after': '2',
        'is-intermediate-response': 'true',
        'restore-status': expect.stringMatching(/^pending;job="[A-Za-z0-9_-]{22}";eta=2$/),
      });
      expect(response.headers.get('etag')).toBeNull();
      const image = await codec.decode(await bytesOf(response));
      expect([image.width, image.height, (image.data[0] ?? 255) < 20]).toEqual([32, 24, true]);
      expect((await store.list('result/')).objects).toEqual([]);
      open();
      await consume();
      const done = await get(path, { prefer: 'wait=5' });
      expect([done.headers.get('restore-status'), done.headers.get('is-intermediate-response')]).toEqual([
        'restored',
        null,
      ]);
      expect((await codec.decode(await bytesOf(done))).data[0]).toBeGreaterThan(230);
      expect((await store.list('result/')).objects).toHaveLength(1);
    });

    test('pending=423, 202 and wait; Prefer', async () => {
      const { get, inverter, consume } = await setUp({ syncWait: 30, deadline: 150 });
      const { closed, open } = gate();
      inverter.state.hold = closed;
      const locked = await get('restore=derain,pending=423/rain.png');
      expect([
        locked.status,
        locked.headers.get('retry-after'),
        locked.headers.get('elfin-error'),
        locked.headers.get('cache-control'),
      ]).toEqual([423, '2', 'PENDING', 'no-store']);
      expect(locked.headers.get('restore-status')).toContain('pending');
      const accepted = await get('restore=derain,pending=202/rain.png');
      expect([accepted.status, accepted.headers.get('location')]).toEqual([
        202,
        expect.stringMatching(/^\/jobs\/[A-Za-z0-9_-]{22}$/),
      ]);
      expect((await get('restore=derain,pending=wait/rain.png')).status).toBe(504);
      const asked = await get('restore=derain/rain.png', { prefer: 'respond-async' });
      expect([asked.status, asked.headers.get('preference-applied'), asked.headers.get('location')]).toEqual([
        202,
        'respond-async',
        accepted.headers.get('location'),
      ]);
      open();
      await consume();
      const response = await get('restore=derain,pending=wait/rain.png');
      expect([response.status, response.headers.get('restore-status')]).toEqual([200, 'restored']);
      // What is there is answered at once, whatever is preferred.
      expect((await get('restore=derain/rain.png', { prefer: 'respond-async' })).status).toBe(200);
    });

    test('a job tells its state, leads to the result, and streams events', async () => {
      const { edge, get, inverter, consume } = await setUp({ syncWait: 30 });
      const { closed, open } = gate();
      inverter.state.hold = closed;
      const accepted = await get('restore=derain,format=png/rain.png', { prefer: 'respond-async' });
      const job = accepted.headers.get('location') as string;
      const first = await edge.app.request(job);
      expect([first.status, await first.json()]).toEqual([
        200,
        expect.objectContaining({ state: bench.background === 'queue' ? 'queued' : 'running' }),
      ]);
      const events = await edge.app.request(job, { headers: { accept: 'text/event-stream' } });
      expect(events.headers.get('content-type')).toContain('text/event-stream');
      open();
      await consume();
      const text = await events.text();
      expect(text).toMatch(/^event: progress\ndata: \{/);
      expect(text).toMatch(/event: done\ndata: .*"location":"\/i\//);
      const done = await edge.app.request(job);
      expect([done.status, await done.json()]).toEqual([303, expect.objectContaining({ state: 'done', progress: 1 })]);
      const result = await edge.app.request(done.headers.get('location') as string);
      expect([result.status, result.headers.get('restore-status')]).toEqual([200, 'restored']);
      expect((await edge.app.request(`/jobs/${'x'.repeat(22)}`)).status).toBe(404);
      expect((await edge.app.request('/jobs/..%2f..%2fresult')).status).toBe(404);
    });

    test('a cancelled job stops, says so, and can be begun anew', async () => {
      const { edge, get, inverter, consume } = await setUp({ syncWait: 30 });
      const { closed, open } = gate();
      inverter.state.hold = closed;
      const path = 'restore=derain,pending=202/rain.png';
      const job = (await get(path)).headers.get('location') as string;
      const cancelled = await edge.app.request(`${job}/cancel`, { method: 'POST' });
      expect([cancelled.status, await cancelled.json()]).toEqual([
        200,
        expect.objectContaining({ state: 'cancelled' }),
      ]);
      open();
      await new Promise((wake) => setTimeout(wake, 20));
      inverter.state.hold = undefined;
      expect(await (await edge.app.request(job)).json()).toMatchObject({ state: 'cancelled' });
      await get(path);
      await consume();
      expect((await get('restore=derain,pending=wait/rain.png')).headers.get('restore-status')).toBe('restored');
    });

    test('a failed job tells its code', async () => {
      const { edge, get, origin, consume } = await setUp();
      origin.objects.set('/x', { bytes: new TextEncoder().encode('no image'), etag: '"x"' });
      const job = (await get('restore=derain/x', { prefer: 'respond-async' })).headers.get('location') as string;
      await consume();
      const state = await (await edge.app.request(job)).json();
      expect(state).toMatchObject({ state: 'failed', error: { code: 'IMAGE_UNSUPPORTED' } });
    });

    test('many requests for one cold URL make it once', async () => {
      const { get, inverter, origin } = await setUp();
      const all = await Promise.all(
        Array.from({ length: 40 }, () => get('restore=derain,format=png,pending=wait/rain.png')),
      );
      const bodies = await Promise.all(all.map(bytesOf));
      expect(all.map(({ status }) => status)).toEqual(Array(40).fill(200));
      expect(
        bodies.every(
          (body) => body.length === bodies[0]?.length && body.every((value, at) => value === bodies[0]?.[at]),
        ),
      ).toBe(true);
      expect([inverter.state.runs, origin.state.reads]).toEqual([1, 1]);
    });
  });

  describe(`edge in ${name}: when things fail`, () => {
    test('what cannot be restored is answered as the source, says so, and is kept nowhere', async () => {
      const { get, inverter, store } = await setUp();
      inverter.state.fail = new ElfinError('OUT_OF_MEMORY', 'too large');
      const response = await get('restore=derain,width=32,format=png/rain.png');
      expect([
        response.status,
        response.headers.get('restore-status'),
        response.headers.get('cache-control'),
        response.headers.get('etag'),
      ]).toEqual([200, 'degraded;reason=too-large', 'no-store', null]);
      const image = await codec.decode(await bytesOf(response));
      expect([image.width, (image.data[0] ?? 255) < 20]).toEqual([32, true]);
      expect([...(await store.list('result/')).objects, ...(await store.list('ref/')).objects]).toEqual([]);
      inverter.state.fail = undefined;
      expect((await get('restore=derain,width=32,format=png/rain.png')).headers.get('restore-status')).toBe('restored');
    });

    test('the next place is tried when one fails, and a full queue is 429', async () => {
      const inverter = createInverter();
      const broken = {
        name: 'gpu',
        maxPixels: 1e9,
        animations: false,
        available: () => true,
        make: async () => {
          throw new ElfinError('NETWORK_FAILED', 'gone');
        },
      };
      const { get } = await setUp({ places: [broken, createLocalPlace({ codec, restorer: inverter.restorer })] });
      expect((await get('restore=derain/rain.png')).headers.get('restore-status')).toBe('restored');
      const none = await setUp({ places: [broken] });
      expect(await problem(await none.get('restore=derain/rain.png'))).toEqual([502, 'NETWORK_FAILED']);
      const full = await setUp({ concurrency: 1, queue: 0, syncWait: 2_000 });
      const { closed, open } = gate();
      full.inverter.state.hold = closed;
      const running = full.get('restore=derain,pending=wait,width=10/rain.png');
      while (full.inverter.state.runs === 0) await new Promise((wake) => setTimeout(wake, 5));
      const refused = await full.get('restore=derain,pending=wait,width=11/rain.png');
      expect([refused.headers.get('retry-after'), ...(await problem(refused))]).toEqual(['2', 429, 'OVERLOADED']);
      open();
      expect((await running).status).toBe(200);
    });

    test('a store that fails costs work and no answer', async () => {
      const good = await bench.store();
      let failing = false;
      const flaky =
        <A extends unknown[], R>(call: (...values: A) => Promise<R>) =>
        (...values: A) =>
          failing && String(values[0]).startsWith('re')
            ? Promise.reject(new ElfinError('STORE_FAILED', 'down'))
            : call(...values);
      const store: ObjectStore = {
        head: flaky(good.head),
        get: flaky(good.get),
        put: flaky(good.put),
        delete: flaky(good.delete),
        list: flaky(good.list),
      };
      const { get, inverter } = await setUp({ store });
      failing = true;
      for (let i = 0; i < 2; i++)
        expect((await get('restore=derain/rain.png')).headers.get('restore-status')).toBe('restored');
      failing = false;
      await get('restore=derain/rain.png');
      expect((await get('restore=derain/rain.png')).headers.get('elfin-info')).toContain('cache=hit');
      expect(inverter.state.runs).toBe(3);
    });

    test('a damaged result is made anew, not shown', async () => {
      const { get, store, inverter } = await setUp();
      const path = 'restore=derain,format=png/rain.png';
      const first = await bytesOf(await get(path));
      const [entry] = (await store.list('result/')).objects;
      const head = await store.head(entry?.key ?? '');
      await store.put(entry?.key ?? '', first.slice(0, 10), { type: 'image/png', metadata: head?.metadata ?? {} });
      expect(await bytesOf(await get(path))).toEqual(first);
      expect(inverter.state.runs).toBe(2);
      expect(await createResultStore(store).getResult((entry?.key ?? '').slice('result/'.length))).toMatchObject({
        type: 'image/png',
      });
    });
  });

  describe(`edge in ${name}: around it`, () => {
    test('health, OpenAPI, mounting, draining', async () => {
      const { edge, get } = await setUp();
      await expect(edge.probe()).resolves.toBeUndefined();
      expect((await edge.app.request('/livez')).status).toBe(200);
      expect((await edge.app.request('/readyz')).status).toBe(200);
      const api = (await (await edge.app.request('/openapi.json')).json()) as {
        openapi: string;
        components: { schemas: { Options: { properties: object } } };
      };
      expect(api.openapi).toBe('3.1.0');
      expect(Object.keys(api.components.schemas.Options.properties)).toContain('restore');
      expect((await edge.app.request('/')).status).toBe(404);
      const { Hono } = await import('hono');
      const host = new Hono().route('/images', edge.app);
      const signed = await (edge.signer as NonNullable<Edge['signer']>).sign({
        options: { restore: 'none' },
        source: `${ORIGIN}/rain.png`,
      });
      expect((await host.request(`/images${signed}`)).status).toBe(200);
      await edge.drain();
      expect(await problem(await get('restore=none/rain.png'))).toEqual([503, 'DRAINING']);
      expect([(await edge.app.request('/livez')).status, (await edge.app.request('/readyz')).status]).toEqual([
        200, 503,
      ]);
    });

    test('CORS is off unless asked for, and then exposes what scripts need', async () => {
      const off = await (await setUp()).get('restore=none/rain.png', { origin: 'https://site.example' });
      expect(off.headers.get('access-control-allow-origin')).toBeNull();
      const { get } = await setUp({ cors: { origins: ['https://site.example'] } });
      const on = await get('restore=none/rain.png', { origin: 'https://site.example' });
      expect(on.headers.get('access-control-allow-origin')).toBe('https://site.example');
      expect(on.headers.get('access-control-expose-headers')).toContain('Restore-Status');
      expect(
        (await get('restore=none/rain.png', { origin: 'https://evil.example' })).headers.get(
          'access-control-allow-origin',
        ),
      ).toBeNull();
    });

    test('the rate is limited by key, and requests are counted', async () => {
      const facts: unknown[] = [];
      let left = 1;
      const { get } = await setUp({
        rate: (tenant) => (tenant === KEY.id && left-- > 0 ? undefined : 7),
        metrics: { request: (fact) => facts.push(fact), span() {}, trouble() {} },
      });
      await get('restore=derain/rain.png');
      const refused = await get('restore=derain/rain.png');
      expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '7']);
      expect(facts).toMatchObject([
        { status: 200, task: 'derain', cache: 'miss' },
        { status: 429, task: 'none' },
      ]);
    });
  });
}
