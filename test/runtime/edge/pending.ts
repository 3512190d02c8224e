import { expect, test } from 'vitest';
import { gate } from './scene.ts';
import { bytesOf, type Scene } from './set-up.ts';

/** Work that takes longer than its request: interim answers, jobs, single flight. */
export function testPending(scene: Scene): void {
  const { codec, setUp } = scene;
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
      expect.objectContaining({ state: scene.background === 'queue' ? 'queued' : 'running' }),
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
    expect([cancelled.status, await cancelled.json()]).toEqual([200, expect.objectContaining({ state: 'cancelled' })]);
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
    // The events end when the job does.
    expect(await (await edge.app.request(job, { headers: { accept: 'text/event-stream' } })).text()).toContain(
      'failed',
    );
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
      bodies.every((body) => body.length === bodies[0]?.length && body.every((value, at) => value === bodies[0]?.[at])),
    ).toBe(true);
    expect([inverter.state.runs, origin.state.reads]).toEqual([1, 1]);
  });
}
