import { ElfinError } from '@elfin/core';
import { createLocalBackend, createResultStore, type QueueMessage } from '@elfin/edge';
import type { ObjectStore } from '@elfin/storage';
import { expect, test } from 'vitest';
import { createInverter, gate } from './scene.ts';
import { bytesOf, problem, type Scene } from './set-up.ts';

/** Places, stores and results that fail. */
export function testFailures(scene: Scene): void {
  const { codec, setUp } = scene;
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
    const broken = failing(new ElfinError('NETWORK_FAILED', 'gone'));
    const { get } = await setUp({ backends: [broken, createLocalBackend({ codec, restorer: inverter.restorer })] });
    expect((await get('restore=derain/rain.png')).headers.get('restore-status')).toBe('restored');
    const none = await setUp({ backends: [broken] });
    expect(await problem(await none.get('restore=derain/rain.png'))).toEqual([502, 'NETWORK_FAILED']);
    const full = await setUp({ concurrency: 1, queue: 0, syncWait: 2_000 });
    await full.addPhoto('/other.png', 40);
    const { closed, open } = gate();
    full.inverter.state.hold = closed;
    const running = full.get('restore=derain,pending=wait/rain.png');
    while (full.inverter.state.runs === 0) await new Promise((wake) => setTimeout(wake, 5));
    const refused = await full.get('restore=derain,pending=wait/other.png');
    expect([refused.headers.get('retry-after'), ...(await problem(refused))]).toEqual(['2', 429, 'OVERLOADED']);
    // Refused before it was fetched.
    expect(full.origin.state.reads).toBe(1);
    // A page is shown the picture as it is, and told when to come back for the better one.
    const page = await full.get('restore=derain,width=20,format=png/other.png');
    expect([page.status, page.headers.get('restore-status'), page.headers.get('cache-control')]).toEqual([
      200,
      'pending;eta=2',
      'no-store',
    ]);
    expect((await codec.decode(await bytesOf(page))).width).toBe(20);
    open();
    expect((await running).status).toBe(200);
  });

  test('a queue that takes nothing is 503, and the next request begins anew', async () => {
    if (scene.background !== 'queue') return;
    let down = true;
    const messages: QueueMessage[] = [];
    const send = async (message: QueueMessage) => {
      if (down) throw new Error('no queue');
      messages.push(message);
    };
    const troubles: string[] = [];
    const { get, edge } = await setUp({
      background: { kind: 'queue', send },
      metrics: { request() {}, span() {}, trouble: (where, code) => troubles.push(`${where} ${code}`) },
    });
    const later = { prefer: 'respond-async' };
    expect(await problem(await get('restore=derain/rain.png', later))).toEqual([503, 'STORE_FAILED']);
    expect(troubles).toEqual(['jobs INTERNAL']);
    down = false;
    expect((await get('restore=derain/rain.png', later)).status).toBe(202);
    for (const message of messages) await edge.consume(message);
    expect((await get('restore=derain/rain.png', later)).headers.get('restore-status')).toBe('restored');
  });

  test('an origin that hangs costs neither the stored result nor the interim images of others', async () => {
    const { get, origin } = await setUp({ sourceTtl: 0, syncWait: 30, deadline: 2_000 });
    const path = 'restore=none,format=png/rain.png';
    const first = await get(path, { prefer: 'wait=5' });
    const { closed, open } = gate();
    origin.state.stall = closed;
    const stored = await get(path);
    expect([stored.status, stored.headers.get('etag'), stored.headers.get('cache-control')]).toEqual([
      200,
      first.headers.get('etag'),
      'public, max-age=5',
    ]);
    const hanging = ['a', 'b', 'c'].map((name) => get(`restore=none/${name}.png`));
    await new Promise((wake) => setTimeout(wake, 100));
    origin.state.stall = undefined;
    origin.objects.set('/d.png', { bytes: origin.objects.get('/rain.png')?.bytes as Uint8Array, etag: '"d"' });
    const other = await get('restore=none,format=png/d.png', { prefer: 'wait=0' });
    expect([other.status, other.headers.get('restore-status')]).toEqual([200, expect.stringMatching(/^pending/)]);
    open();
    await Promise.all(hanging);
  });

  test('a failed job tells no more than an answer does', async () => {
    const endpoint = 'http://10.0.0.7:8000';
    const broken = failing(new ElfinError('NETWORK_FAILED', `${endpoint} hung up.`, { data: { endpoint } }));
    const { get, edge, consume } = await setUp({ backends: [broken] });
    const job = (await get('restore=derain/rain.png', { prefer: 'respond-async' })).headers.get('location') as string;
    await consume();
    const events = await (await edge.app.request(job, { headers: { accept: 'text/event-stream' } })).text();
    const state = await (await edge.app.request(job)).text();
    for (const told of [events, state]) {
      expect(told).toContain('NETWORK_FAILED');
      expect(told).not.toContain('10.0.0.7');
    }
  });

  test('a store that fails costs work and no answer', async () => {
    const good = await scene.store();
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
    const { get, inverter, edge, written } = await setUp({ store });
    const ready = async () => (await edge.app.request('/readyz')).text();
    failing = true;
    for (let i = 0; i < 2; i++) {
      expect((await get('restore=derain/rain.png')).headers.get('restore-status')).toBe('restored');
      // Until the failed write is over, the result is in memory.
      await expect.poll(ready).toContain('STORE_FAILED');
      await new Promise((wake) => setTimeout(wake, 50));
    }
    expect((await edge.app.request('/readyz')).status).toBe(200);
    failing = false;
    await get('restore=derain/rain.png');
    await written('ref/');
    expect(await ready()).toBe('ok');
    expect((await get('restore=derain/rain.png')).headers.get('elfin-info')).toContain('cache=hit');
    expect(inverter.state.runs).toBe(3);
  });

  test('a damaged result is made anew, not shown', async () => {
    const { get, store, inverter, written } = await setUp();
    const path = 'restore=derain,format=png/rain.png';
    const first = await bytesOf(await get(path));
    const [picture] = await written('restored/');
    const [entry] = await written('result/');
    const damage = async (key = '') => {
      const head = await store.head(key);
      await store.put(key, first.slice(0, 10), { type: 'image/png', metadata: head?.metadata ?? {} });
    };
    const mended = () =>
      expect
        .poll(() => createResultStore(store).getResult((entry?.key ?? '').slice('result/'.length)))
        .toMatchObject({ type: 'image/png' });
    await damage(entry?.key);
    expect(await bytesOf(await get(path))).toEqual(first);
    // Out of the restored picture, which is whole.
    expect(inverter.state.runs).toBe(1);
    await mended();
    await damage(entry?.key);
    await damage(picture?.key);
    expect(await bytesOf(await get(path))).toEqual(first);
    expect(inverter.state.runs).toBe(2);
    await mended();
  });
}

/** A place that takes everything and makes nothing. */
const failing = (error: ElfinError) => ({
  name: 'gpu',
  maxPixels: 1e9,
  animations: false,
  available: () => true,
  make: async () => {
    throw error;
  },
});
