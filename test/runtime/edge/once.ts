import type { ObjectStore } from '@elfin/storage';
import { expect, test } from 'vitest';
import { gate, picture } from './scene.ts';
import { bytesOf, type Scene } from './set-up.ts';

/** One restoration a photo, whatever is made of it; and how little a cold URL waits for. */
export function testOnce(scene: Scene): void {
  const { codec, setUp } = scene;
  const formats = ['png', 'jpeg', 'webp'];
  const derivatives = [10, 20, 30, 64].flatMap((width) => formats.map((format) => `width=${width},format=${format}`));

  test('twelve derivatives of a cold photo are one restoration, one after another and all at once', async () => {
    const after = await setUp();
    for (const shape of derivatives) {
      const response = await after.get(`restore=derain,${shape}/rain.png`);
      expect([shape, response.headers.get('restore-status')]).toEqual([shape, 'restored']);
      const { width, format } = await codec.probe(await bytesOf(response));
      expect(`width=${width},format=${format}`).toBe(shape);
    }
    expect(after.inverter.state.runs).toBe(1);
    const atOnce = await setUp();
    const all = await Promise.all(
      derivatives.map((shape) => atOnce.get(`restore=derain,pending=wait,${shape}/rain.png`)),
    );
    expect(all.map(({ status }) => status)).toEqual(Array(12).fill(200));
    expect(atOnce.inverter.state.runs).toBe(1);
  });

  test('strength, quality and metadata are of the same restoration, and pixels are those of a direct one', async () => {
    const { get, inverter } = await setUp();
    const pixels = async (options: string) =>
      codec.decode(await bytesOf(await get(`restore=derain,format=png,${options}/rain.png`)));
    const full = await pixels('metadata=keep');
    const half = await pixels('strength=0.5');
    const none = await pixels('strength=0');
    await get('restore=derain,format=jpeg,quality=40/rain.png');
    expect(inverter.state.runs).toBe(1);
    const source = picture(64, 48).data;
    const near = (a: number, b: number) => Math.abs(a - b) <= 1;
    expect([...none.data].every((value, at) => value === source[at])).toBe(true);
    expect([...full.data].every((value, at) => value === 255 - (source[at] as number))).toBe(true);
    expect(
      [...half.data].every((value, at) => near(value, ((source[at] as number) + (full.data[at] as number)) / 2)),
    ).toBe(true);
  });

  test('the same bytes under another ETag, or another address, are no new restoration', async () => {
    const { get, origin, inverter, png } = await setUp({ sourceTtl: 0 });
    const path = 'restore=derain,format=png';
    const first = await bytesOf(await get(`${path}/rain.png`));
    origin.objects.set('/rain.png', { bytes: png, etag: '"v2"' });
    origin.objects.set('/copy.png', { bytes: png, etag: '"c"' });
    expect(await bytesOf(await get(`${path}/rain.png`))).toEqual(first);
    expect(await bytesOf(await get(`${path}/copy.png`))).toEqual(first);
    expect(inverter.state.runs).toBe(1);
  });

  test('a cold URL waits for the store three times at most; what is written comes behind', async () => {
    const inner = await scene.store();
    let open = 0;
    let rounds = 0;
    const writes = gate();
    const counted =
      <A extends unknown[], R>(call: (...values: A) => Promise<R>) =>
      async (...values: A) => {
        // Calls that go out together are one round trip.
        if (open++ === 0) rounds += 1;
        try {
          return await call(...values);
        } finally {
          open -= 1;
        }
      };
    const store: ObjectStore = {
      head: counted(inner.head),
      get: counted(inner.get),
      put: counted(async (key, ...values) => {
        // What is kept is not to be waited for.
        if (!key.startsWith('job/')) await writes.closed;
        return inner.put(key, ...values);
      }),
      delete: counted(inner.delete),
      list: counted(inner.list),
    };
    const { edge, url, inverter } = await setUp({ store, coordination: store });
    const network = gate();
    inverter.state.hold = network.closed;
    const at = await url('restore=derain,format=png/rain.png');
    const work: Promise<unknown>[] = [];
    const answer = edge.fetch(new Request(`http://edge.example${at}`), {}, { waitUntil: (one) => work.push(one) });
    await expect.poll(() => inverter.state.runs).toBe(1);
    expect(rounds).toBeLessThanOrEqual(3);
    network.open();
    expect((await answer).status).toBe(200);
    expect((await inner.list('result/')).objects).toEqual([]);
    writes.open();
    await edge.flush();
    await Promise.all(work);
    expect((await inner.list('result/')).objects).toHaveLength(1);
    expect((await inner.list('restored/')).objects).toHaveLength(1);
  });

  test('a page waits for its origin no longer than for its picture, and the origin is asked once', async () => {
    const { get, origin } = await setUp({ syncWait: 1_500 });
    const { closed, open } = gate();
    origin.state.stall = closed;
    const begin = Date.now();
    const response = await get('restore=derain/rain.png');
    expect([response.status, response.headers.get('elfin-error')]).toEqual([423, 'PENDING']);
    // A second time, for the interim picture, it would be six.
    if (scene.background === 'process') expect(Date.now() - begin).toBeLessThan(6_000);
    if (scene.background === 'process') expect(origin.state.reads).toBe(1);
    open();
  });
}
