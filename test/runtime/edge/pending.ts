import type { Edge } from '@elfin/edge';
import { expect, test } from 'vitest';
import { gate } from './scene.ts';
import { bytesOf, type Scene } from './set-up.ts';

/** As whoever has a key cancels the job that a `Location` names. */
async function cancel(edge: Edge, location: string): Promise<Response> {
  const job = /\/jobs\/([^?]+)/.exec(location)?.[1] as string;
  return edge.app.request(await (edge.signer as NonNullable<Edge['signer']>).signCancel(job), { method: 'POST' });
}

/** Work that takes longer than its request: interim answers, jobs, single flight. */
export function testPending(scene: Scene): void {
  const { codec, setUp } = scene;
  test('pending=original: the source in the same size and format, marked, kept nowhere; then the result', async () => {
    const { get, inverter, store, consume, written } = await setUp({ syncWait: 60 });
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
    await written('result/');
  });

  test('pending=423, 202 and wait; Prefer', async () => {
    const { get, inverter, consume } = await setUp({ syncWait: 30, deadline: 500 });
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
      expect.stringMatching(/^\/jobs\/[A-Za-z0-9_-]{22}\?to=%2Fi%2Frestore%3Dderain%2Cpending%3D202%2F/),
    ]);
    expect((await get('restore=derain,pending=wait/rain.png')).status).toBe(504);
    const asked = await get('restore=derain/rain.png', { prefer: 'respond-async' });
    const job = (response: Response) => response.headers.get('location')?.split('?')[0];
    expect([asked.status, asked.headers.get('preference-applied'), job(asked)]).toEqual([
      202,
      'respond-async',
      job(accepted),
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
    const unknown = await edge.app.request(`/jobs/${'x'.repeat(22)}`);
    expect([unknown.status, unknown.headers.get('cache-control')]).toEqual([404, 'no-store']);
    expect((await edge.app.request('/jobs/..%2f..%2fresult')).status).toBe(404);
  });

  test('a job leads each caller to its own URL, and nowhere else', async () => {
    const { edge, get, url, inverter, consume } = await setUp({ syncWait: 30 });
    const { closed, open } = gate();
    inverter.state.hold = closed;
    const later = { prefer: 'respond-async' };
    const short = await url('restore=derain/rain.png', 1);
    const [own, json] = [
      await edge.app.request(short, { headers: later }),
      await get('restore=derain,format=json/rain.png', later),
    ];
    open();
    await consume();
    await get('restore=derain,pending=wait/rain.png');
    // The result is there a moment before its job says so.
    await expect.poll(async () => (await edge.app.request(own.headers.get('location') as string)).status).toBe(303);
    const led = async (accepted: Response) =>
      (await edge.app.request(accepted.headers.get('location') as string)).headers.get('location') as string;
    expect(await led(own)).toBe(short);
    expect((await edge.app.request(await led(json))).headers.get('content-type')).toBe('application/json');
    // Both are one job, which tells nothing of the URLs that others came with.
    const job = own.headers.get('location')?.split('?')[0] as string;
    expect(json.headers.get('location')).toContain(`${job}?`);
    const plain = await edge.app.request(job);
    expect([plain.status, plain.headers.get('location'), await plain.text()]).toEqual([
      200,
      null,
      expect.not.stringContaining('sig='),
    ]);
    for (const to of [
      'https://evil.example/i/x',
      '//evil.example/i/x',
      '/\\evil.example/i/x',
      '/i/../jobs/x',
      '/i/\\x',
      '/i/x\r\nset-cookie: a=b',
      '/metrics',
      'i/x',
      '',
    ]) {
      const refused = await edge.app.request(`${job}?to=${encodeURIComponent(to)}`);
      expect([to, refused.status, refused.headers.get('location')]).toEqual([to, 400, null]);
    }
  });

  test('a cancelled job stops, says so, and can be begun anew', async () => {
    const { edge, get, inverter, consume } = await setUp({ syncWait: 30 });
    const { closed, open } = gate();
    inverter.state.hold = closed;
    const path = 'restore=derain,pending=202/rain.png';
    const job = (await get(path)).headers.get('location') as string;
    // Everybody who asked for the picture was told its job: that is no right to stop it for the others.
    for (const query of ['', '?sig=x', `?${(await edge.app.request(job)).url.split('?')[1] ?? 'kid=k1'}`])
      expect((await edge.app.request(`${job.split('?')[0]}/cancel${query}`, { method: 'POST' })).status).toBe(403);
    expect(await (await edge.app.request(job)).json()).not.toMatchObject({ state: 'cancelled' });
    const cancelled = await cancel(edge, job);
    expect([cancelled.status, await cancelled.json()]).toEqual([200, expect.objectContaining({ state: 'cancelled' })]);
    open();
    // The work hears of it a moment later; until then it is still the one that is joined.
    await new Promise((wake) => setTimeout(wake, 300));
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

  test('work that waits for its turn is left to the queue in time, as one message', async () => {
    const { get, inverter, messages, edge, consume, addPhoto } = await setUp({ syncWait: 30, concurrency: 1 });
    const { closed, open } = gate();
    await addPhoto('/other.png', 40);
    inverter.state.hold = closed;
    const running = get('restore=derain,pending=wait/rain.png');
    while (inverter.state.runs === 0) await new Promise((wake) => setTimeout(wake, 5));
    const path = 'restore=derain,pending=202/other.png';
    const job = (await get(path)).headers.get('location') as string;
    const queues = scene.background === 'queue';
    await expect.poll(() => [messages.length, edge.queued]).toEqual(queues ? [1, 0] : [0, 1]);
    await get(path);
    expect(messages).toHaveLength(queues ? 1 : 0);
    open();
    expect((await running).status).toBe(200);
    await consume();
    await get('restore=derain,pending=wait/other.png');
    await expect.poll(async () => (await edge.app.request(job)).status).toBe(303);
    expect(inverter.state.runs).toBe(2);
  });

  test('a cancelled message is done with, before it runs and while it does', async () => {
    const { get, inverter, messages, edge, consume } = await setUp({ syncWait: 30 });
    if (scene.background !== 'queue') return;
    const path = 'restore=derain,pending=202/rain.png';
    await cancel(edge, (await get(path, { prefer: 'respond-async' })).headers.get('location') as string);
    expect([await consume(), inverter.state.runs]).toEqual([[{ status: 'fulfilled', value: undefined }], 0]);
    const { closed, open } = gate();
    inverter.state.hold = closed;
    const job = (await get(path, { prefer: 'respond-async' })).headers.get('location') as string;
    const [message] = messages;
    const running = consume();
    while (inverter.state.runs === 0) await new Promise((wake) => setTimeout(wake, 5));
    await cancel(edge, job);
    expect(await running).toEqual([{ status: 'fulfilled', value: undefined }]);
    open();
    await edge.consume(message as NonNullable<typeof message>);
    expect(inverter.state.runs).toBe(1);
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
