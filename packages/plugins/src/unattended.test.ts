import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ElfinError } from '@elfin/core';
import { createMemoryStore, type ObjectStore } from '@elfin/storage';
import sharp from 'sharp';
import { afterEach, describe, expect, it } from 'vitest';
import { cheapRestorer, contentOf, upload } from '../../../test/helpers/upload.ts';
import { redriveJournal, redriveQuarantine, startWatch } from './entries/node.ts';
import { createTrigger, type Notify, parseEnvelope, type TriggerOptions, type UploadLogEntry } from './index.ts';

const cleanups: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const RULE = { prefix: 'incoming/', task: 'derain' } as const;

function setUp(options: Partial<TriggerOptions> = {}, store: ObjectStore = createMemoryStore()) {
  const restorer = cheapRestorer();
  const trigger = createTrigger({ rules: [RULE], storage: () => store, restorer, ...options });
  return { store, trigger, restorer };
}

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'elfin-unattended-'));
  cleanups.push(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** Never answers, and stops when it is told to. */
const stuck: TriggerOptions['restorer'] = {
  ...cheapRestorer(),
  restoreBytes: (_, __, { signal }) =>
    new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason));
    }),
};

describe('nothing waits for ever', () => {
  it('not for a restorer: the object has a deadline, and its claim is given back', async () => {
    const { store, trigger } = setUp({ restorer: stuck, deadlineMs: 100 });
    const event = await upload(store, 'incoming/a.jpg', 'photo');
    const outcome = await trigger.process(event);
    expect(outcome).toMatchObject({ status: 'failed', error: { code: 'DEADLINE_EXCEEDED', retry: true } });
    expect((await setUp({}, store).trigger.process(event)).status).toBe('restored');
  });

  it('not for work that stands still: it loses its claim, though its process lives', async () => {
    const { store, trigger } = setUp({ restorer: stuck, stallMs: 100, claims: { ttlMs: 90 } });
    const event = await upload(store, 'incoming/a.jpg', 'photo');
    expect(await trigger.process(event)).toMatchObject({ status: 'failed', error: { code: 'CLAIM_HELD' } });
    expect((await setUp({}, store).trigger.process(event)).status).toBe('restored');
  });

  it('a download that breaks off is tried again', async () => {
    let breaks = 2;
    const memory = createMemoryStore();
    const store: ObjectStore = {
      ...memory,
      async get(key, options) {
        const found = await memory.get(key, options);
        if (typeof found !== 'object' || !key.startsWith('incoming/') || breaks-- <= 0) return found;
        const error = new ElfinError('STORE_FAILED', 'The connection to the store failed: reset.');
        return { ...found, body: new ReadableStream({ pull: (controller) => controller.error(error) }) };
      },
    };
    const { trigger } = setUp({ retries: { baseMs: 1 } }, store);
    expect((await trigger.process(await upload(memory, 'incoming/a.jpg', 'photo'))).status).toBe('restored');
    expect(trigger.counts().retries).toBe(2);
  });

  it('a full disk is waited out', async () => {
    const full = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
    let errors = 1;
    const cheap = cheapRestorer();
    const restorer: TriggerOptions['restorer'] = {
      ...cheap,
      async restoreBytes(...call) {
        if (errors-- > 0) throw new ElfinError('OUTPUT_UNWRITABLE', 'It cannot be written.', { cause: full });
        return cheap.restoreBytes(...call);
      },
    };
    const { store, trigger } = setUp({ restorer, retries: { attempts: 1 } });
    const event = await upload(store, 'incoming/a.jpg', 'photo');
    expect(await trigger.process(event)).toMatchObject({
      status: 'failed',
      error: { code: 'RUNTIME_FAILED', retry: true },
    });
    expect((await trigger.process(event)).status).toBe('restored');
  });
});

it('what does not fit into the time left is not begun', async () => {
  const create = { width: 2000, height: 1000, channels: 3, background: '#456' } as const;
  const photo = await sharp({ create }).jpeg().toBuffer();
  const { store, trigger, restorer } = setUp({ msPerMegapixel: 10_000 });
  const { etag } = (await store.put('incoming/a.jpg', photo, { type: 'image/jpeg' })) as { etag: string };
  const event = {
    kind: 'created',
    name: 'Put',
    source: 'test',
    bucket: 'photos',
    key: 'incoming/a.jpg',
    etag,
  } as const;
  const outcome = await trigger.process(event, { remaining: () => 30_000 });
  expect(outcome).toMatchObject({
    error: { code: 'DEADLINE_EXCEEDED', message: expect.stringMatching(/20 s.*10 s are left/) },
  });
  expect(restorer.calls()).toBe(0);
  expect((await trigger.process(event, { remaining: () => 60_000 })).status).toBe('restored');
  // It took next to no time: now it fits.
  const again = { ...event, key: 'incoming/b.jpg' };
  await store.put('incoming/b.jpg', photo, { type: 'image/jpeg' });
  expect((await trigger.process(again, { remaining: () => 32_000 })).status).toBe('restored');
});

it('tells each event’s story by its id', async () => {
  const log: UploadLogEntry[] = [];
  const { store, trigger } = setUp({ log: (entry) => log.push(entry), retries: { baseMs: 1 } });
  const weak = await upload(store, 'incoming/weak.jpg', 'WEAK 1');
  const poison = await upload(store, 'incoming/poison.jpg', 'POISON');
  for (const event of [weak, poison, { ...weak, key: 'elsewhere.jpg' }]) await trigger.process(event);
  const stories = Map.groupBy(log, ({ id }) => id);
  expect([...stories.values()].map((story) => story.map(({ event }) => event))).toEqual([
    ['received', 'retried', 'retried', 'restored'],
    ['received', 'quarantined'],
    ['received', 'skipped'],
  ]);
  expect(log.find(({ event }) => event === 'restored')).toMatchObject({
    level: 'info',
    bucket: 'photos',
    key: 'incoming/weak.jpg',
    result: expect.stringMatching(/^photos\/restored\//),
    ms: expect.any(Number),
  });
  expect(log.find(({ event }) => event === 'skipped')).toMatchObject({ reason: 'no rule wants it' });
});

it('refuses a rule at the start whose model there is not', async () => {
  const restorer: TriggerOptions['restorer'] = {
    ...cheapRestorer(),
    models: async ({ model }) => {
      if (model === 'full') throw new ElfinError('MODEL_UNKNOWN', 'There is no model derain-full.');
      return ['c'.repeat(64)];
    },
  };
  await expect(setUp({ restorer }).trigger.check(['photos'])).resolves.toBeUndefined();
  const { trigger } = setUp({ restorer, rules: [{ ...RULE, model: 'full', name: 'large' }] });
  await expect(trigger.check(['photos'])).rejects.toMatchObject({
    code: 'MODEL_UNKNOWN',
    message: expect.stringMatching(/^large cannot be used: There is no model/),
  });
});

it('tells of failures as of results, and of each once', async () => {
  const told: [string, Parameters<Notify>[1]][] = [];
  const { store, trigger } = setUp({ notify: async (...call) => void told.push([call[0], call[1]]) });
  const poison = await upload(store, 'incoming/poison.jpg', 'POISON');
  for (let i = 0; i < 2; i++) await trigger.process(poison);
  expect(told.map(([, { type }]) => type)).toEqual(['elfin.failed', 'elfin.failed']);
  expect(told[0]![0]).toBe(told[1]![0]);
  expect(told[0]![1]).toMatchObject({ data: { code: 'IMAGE_UNSUPPORTED', source: { key: 'incoming/poison.jpg' } } });
});

it.each([
  [
    'S3',
    {
      Records: [
        {
          eventVersion: '2.1',
          eventSource: 'aws:s3',
          eventName: 'ObjectRestore:Completed',
          s3: { bucket: { name: 'b' }, object: { key: 'k' } },
        },
      ],
    },
  ],
  [
    'EventBridge',
    {
      source: 'aws.s3',
      'detail-type': 'Object Restore Completed',
      detail: { bucket: { name: 'b' }, object: { key: 'k' } },
    },
  ],
])('takes up what %s says has come out of the archive', (_, envelope) => {
  expect(parseEnvelope(envelope)).toMatchObject([{ event: { kind: 'created', bucket: 'b', key: 'k' } }]);
});

describe('elfin watch', () => {
  const SECRET = 'a-shared-secret-of-this-test';

  it('tells its backlog and its counts, and refuses what is nested without end', async () => {
    const journal = await folder();
    const { store, trigger } = setUp({ restorer: stuck });
    const watch = await startWatch({ trigger, journal, secret: SECRET });
    cleanups.push(() => watch.stop());
    const post = (body: string) =>
      fetch(watch.url, { method: 'POST', body, headers: { authorization: `Bearer ${SECRET}` } });
    expect((await post('['.repeat(20_000) + ']'.repeat(20_000))).status).toBe(400);
    expect((await post(`{"text":"${'['.repeat(200)}"}`)).status).toBe(202);
    const { key } = await upload(store, 'incoming/a.jpg', 'photo');
    const record = {
      eventVersion: '2.1',
      eventSource: 'aws:s3',
      eventName: 'ObjectCreated:Put',
      s3: { bucket: { name: 'photos' }, object: { key } },
    };
    expect((await post(JSON.stringify({ Records: [record] }))).status).toBe(202);
    const health = async () => (await fetch(new URL('/healthz', watch.url))).json();
    await expect.poll(health).toMatchObject({ status: 'ok', pending: 1, oldestSeconds: expect.any(Number) });
    const metrics = async () => (await fetch(new URL('/metrics', watch.url))).text();
    await expect.poll(metrics).toMatch(/^elfin_uploads_events_total 2$/m);
    expect(await metrics()).toMatch(/^elfin_uploads_pending 1$/m);
  });

  it('gives its dead letters another chance, and the quarantine too', async () => {
    const journal = await folder();
    const { store, trigger } = setUp();
    const watch = await startWatch({ trigger, journal, secret: SECRET });
    await fetch(watch.url, {
      method: 'POST',
      body: '{"what":"is this"}',
      headers: { authorization: `Bearer ${SECRET}` },
    });
    await expect.poll(() => readdir(join(journal, 'dead'))).toHaveLength(2);
    await watch.stop();
    expect(await redriveJournal(journal)).toBe(1);
    expect([await readdir(join(journal, 'dead')), await readdir(join(journal, 'pending'))]).toMatchObject([
      [],
      [expect.any(String)],
    ]);
    await expect(redriveJournal(join(journal, 'nothing'))).rejects.toMatchObject({ code: 'INPUT_UNREADABLE' });

    const small = setUp({ rules: [{ ...RULE, maxBytes: 3 }] }, store).trigger;
    const poison = await upload(store, 'incoming/poison.jpg', 'POISON');
    const large = await upload(store, 'incoming/large.jpg', 'photo');
    for (const event of [poison, large]) expect((await small.process(event)).status).toBe('quarantined');
    const outcomes = await redriveQuarantine({ store, bucket: 'photos', trigger });
    expect(outcomes).toEqual({ restored: 1, quarantined: 1 });
    const left = (await store.list('.elfin/quarantine/')).objects;
    expect(left).toHaveLength(1);
    expect(await contentOf(store, left[0]!.key)).toContain('IMAGE_UNSUPPORTED');
  });
});
