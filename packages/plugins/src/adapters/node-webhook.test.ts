import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ElfinError } from '@elfin/core';
import { createMemoryStore } from '@elfin/storage';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cheapRestorer, upload } from '../../../../test/helpers/upload.ts';
import { openJournal, startWatch, type WatchOptions } from '../entries/node.ts';
import { asS3Notification } from '../entries/sqs.ts';
import { createTrigger, type TriggerOptions, type UploadEvent } from '../index.ts';

const SECRET = 'correct-horse-battery';
let folder: string;
const stops: (() => Promise<void>)[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'elfin-journal-'));
});
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
  await rm(folder, { recursive: true, force: true });
});

async function setUp(
  watch: Partial<WatchOptions> = {},
  options: Partial<TriggerOptions> = {},
  store = createMemoryStore(),
) {
  const restorer = cheapRestorer();
  const trigger = createTrigger({
    rules: [{ prefix: 'incoming/', task: 'derain' }],
    storage: (bucket) => (bucket === 'photos' ? store : undefined),
    restorer,
    retries: { attempts: 1 },
    ...options,
  });
  const server = await startWatch({ trigger, journal: folder, secret: SECRET, ...watch });
  stops.push(server.stop);
  const post = (body: string, headers: Record<string, string> = { authorization: `Bearer ${SECRET}` }, path = '') =>
    fetch(`${server.url}${path}`, { method: 'POST', body, headers });
  return { store, restorer, trigger, server, post };
}

const results = (store: { keys(): readonly string[] }) => store.keys().filter((key) => key.startsWith('restored/'));
const envelope = (event: UploadEvent) => asS3Notification(event);

describe('webhook', () => {
  it('takes an event by either way of showing the secret, and restores', async () => {
    const { store, server, post } = await setUp();
    const event = await upload(store, 'incoming/a b.jpg', 'photo');
    expect((await post(envelope(event))).status).toBe(202);
    expect((await post(envelope(event), {}, `/${SECRET}`)).status).toBe(202);
    await server.drain.idle();
    expect(results(store)).toHaveLength(1);
    expect(await readdir(join(folder, 'pending'))).toEqual([]);
  });

  it('turns away strangers, large bodies and what is no JSON', async () => {
    const { post, server } = await setUp({ maxBytes: 1000 });
    expect((await post('{}', {})).status).toBe(401);
    expect((await post('{}', { authorization: 'Bearer wrong' })).status).toBe(401);
    expect((await post('{}', {}, '/wrong')).status).toBe(401);
    expect((await post('x'.repeat(1001))).status).toBe(413);
    expect((await post('{"half')).status).toBe(400);
    expect((await fetch(`${server.url}/${SECRET}`)).status).toBe(405);
    expect((await fetch(server.url.replace('/events', '/healthz'))).status).toBe(200);
    expect(await readdir(join(folder, 'pending'))).toEqual([]);
  });

  it('refuses a secret that is short or would change in a URL', async () => {
    const refused = setUp({ secret: 'short' });
    await expect(refused).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    await expect(setUp({ secret: 'has a space in it, though long' })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  it('says so where its port is taken', async () => {
    const { server } = await setUp();
    await expect(setUp({ port: server.port })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: `Cannot listen on 127.0.0.1:${server.port} (EADDRINUSE): choose another port.`,
    });
  });

  it('answers 503 where the journal cannot be written', async () => {
    const { post } = await setUp();
    await rm(join(folder, 'pending'), { recursive: true });
    expect((await post('{}')).status).toBe(503);
  });

  it('sets aside, with the reason, what no retry will mend', async () => {
    const { post, server } = await setUp();
    expect((await post('{"who":"knows"}')).status).toBe(202);
    await server.drain.idle();
    const dead = (await readdir(join(folder, 'dead'))).sort();
    expect(dead).toHaveLength(2);
    expect(JSON.parse(await readFile(join(folder, 'dead', dead[0]!), 'utf8'))).toEqual({ who: 'knows' });
    expect(JSON.parse(await readFile(join(folder, 'dead', dead[1]!), 'utf8'))).toMatchObject({
      errors: [{ code: 'EVENT_UNKNOWN' }],
    });
  });

  it('comes back to what may pass', async () => {
    const { store, post, server, trigger } = await setUp();
    const event = await upload(store, 'incoming/weak.jpg', 'WEAK');
    await post(envelope(event));
    await server.drain.idle();
    expect(results(store)).toHaveLength(1);
    expect(trigger.counts()).toMatchObject({ failed: 2, restored: 1 });
  });
});

describe('journal', () => {
  it('keeps what was taken for the next process', async () => {
    const store = createMemoryStore();
    const event = await upload(store, 'incoming/a.jpg', 'photo');
    const journal = await openJournal(folder);
    await journal.append(JSON.parse(envelope(event)));
    await journal.append(JSON.parse(envelope(event)));
    expect(await journal.pending()).toHaveLength(2);
    const { server, restorer } = await setUp({}, {}, store);
    await server.drain.idle();
    expect(results(store)).toHaveLength(1);
    expect(restorer.calls()).toBe(1);
    expect(await (await openJournal(folder)).pending()).toEqual([]);
  });
});

describe('reconciliation', () => {
  it('makes up for what no event told of, at the start and when asked', async () => {
    const store = createMemoryStore();
    await upload(store, 'incoming/early.jpg', 'photo');
    const place = { bucket: 'photos', store };
    const { server } = await setUp({ reconcile: { places: [place] } }, {}, store);
    await expect.poll(() => results(store)).toHaveLength(1);
    await upload(store, 'incoming/lost.jpg', 'photo');
    expect(await server.reconcile()).toMatchObject([{ outcomes: { restored: 1, done: 1 } }]);
    expect(results(store)).toHaveLength(2);
  });

  it('says what failed in the starting pass, and comes back to it', async () => {
    const store = createMemoryStore();
    await upload(store, 'incoming/early.jpg', 'photo');
    let faults = 1;
    const get: typeof store.get = async (key, options) => {
      if (key.startsWith('incoming/') && faults-- > 0) throw new ElfinError('STORE_FAILED', 'The store said no.');
      return store.get(key, options);
    };
    const failing = { ...store, get };
    const told: string[] = [];
    const onHandled: WatchOptions['onHandled'] = (handled) =>
      told.push(...handled.map(({ outcome }) => ('error' in outcome ? outcome.error.code : outcome.status)));
    await setUp({ reconcile: { places: [{ bucket: 'photos', store: failing }] }, onHandled }, {}, failing);
    await expect.poll(() => results(store), { timeout: 5000 }).toHaveLength(1);
    await expect.poll(() => told).toEqual(['STORE_FAILED', 'restored']);
  });

  it('does not listen over a store without conditional writes', async () => {
    const store = createMemoryStore();
    const careless = { ...store, put: (key: string, bytes: Uint8Array) => store.put(key, bytes) } as typeof store;
    const started = setUp({ reconcile: { places: [{ bucket: 'photos', store: careless }] } }, {}, careless);
    await expect(started).rejects.toMatchObject({ code: 'STORE_UNSUITABLE' });
  });
});
