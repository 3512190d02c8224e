import { ElfinError } from '@elfin/core';
import { createMemoryStore, type ObjectStore } from '@elfin/storage';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cheapRestorer, contentOf, upload } from '../../../test/helpers/upload.ts';
import type { UploadEvent } from './events/event.ts';
import { createTrigger, type Notify, type TriggerOptions } from './index.ts';

const RULE = { name: 'photos', prefix: 'incoming/', task: 'derain', alias: 'latest/{key}' } as const;

function setUp(options: Partial<TriggerOptions> = {}, store: ObjectStore = createMemoryStore()) {
  const restorer = cheapRestorer();
  const trigger = createTrigger({
    rules: [RULE],
    storage: (bucket) => (bucket === 'photos' ? store : undefined),
    restorer,
    retries: { baseMs: 1 },
    ...options,
  });
  return { store, restorer, trigger };
}

const keysOf = async (store: ObjectStore, prefix: string) =>
  (await store.list(prefix)).objects.map(({ key }) => key).filter((key) => !key.endsWith('/keep.json'));

describe('one upload', () => {
  it('gets one result beside it, marked, with type and metadata kept, and an alias', async () => {
    const { store, trigger } = setUp();
    const event = await upload(store, 'incoming/a b+ü%2F.JPG', 'photo');
    const outcome = await trigger.process(event);
    expect(outcome).toMatchObject({ status: 'restored', bucket: 'photos' });
    const [key, ...others] = await keysOf(store, 'restored/');
    expect(others).toEqual([]);
    expect(key).toMatch(/^restored\/incoming\/a b\+ü%2F\.JPG\/[0-9a-f]{8}\.jpg$/);
    expect(await contentOf(store, key!)).toBe('restored jpeg: photo');
    expect(await contentOf(store, 'latest/incoming/a b+ü%2F.JPG')).toBe('restored jpeg: photo');
    const head = await store.head(key!);
    expect(head).toMatchObject({ type: 'image/jpeg', metadata: { camera: 'test', 'elfin-source': event.etag } });
    expect(head?.metadata['elfin-restored']).toMatch(/^[0-9a-f]{64}$/);
    expect(await keysOf(store, '.elfin/')).toEqual([]);
    expect(await contentOf(store, event.key)).toBe('photo');
  });

  it('is not restored again for a duplicate, nor its result for an event of its own', async () => {
    const { store, trigger, restorer } = setUp();
    const event = await upload(store, 'incoming/a.jpg', 'photo');
    await trigger.process(event);
    expect((await trigger.process(event)).status).toBe('done');
    const again = setUp({}, store);
    expect((await again.trigger.process(event)).status).toBe('done');
    expect([restorer.calls(), again.restorer.calls()]).toEqual([1, 0]);
    const copied = await store.head('latest/incoming/a.jpg');
    await store.put('incoming/copy.jpg', new TextEncoder().encode('x'), { metadata: copied!.metadata });
    const own = await trigger.process({
      ...event,
      key: 'incoming/copy.jpg',
      etag: (await store.head('incoming/copy.jpg'))!.etag,
    });
    expect(own).toMatchObject({ status: 'skipped' });
    expect(await keysOf(store, '.elfin/')).toEqual([]);
  });

  it('is looked up where the event says little, and asked for by version where it names one', async () => {
    const { store, trigger } = setUp({ rules: [{ ...RULE, suffix: '', types: ['image/*'] }] });
    const { etag: _, size: __, ...event } = await upload(store, 'incoming/untold', 'photo');
    expect(await trigger.process(event)).toMatchObject({ status: 'restored' });
    await store.put('incoming/text', new Uint8Array(3), { type: 'text/plain' });
    expect(await trigger.process({ ...event, key: 'incoming/text' })).toMatchObject({ status: 'skipped' });
  });

  it('yields to a newer upload: the result is of what is there', async () => {
    const { store, trigger } = setUp();
    const old = await upload(store, 'incoming/a.jpg', 'one', { sequencer: '01' });
    const now = await upload(store, 'incoming/a.jpg', 'two', { sequencer: '02' });
    expect((await trigger.process(old)).status).toBe('restored');
    expect(trigger.counts().stale).toBe(1);
    expect((await trigger.process(now)).status).toBe('done');
    expect(await keysOf(store, 'restored/')).toHaveLength(1);
    expect(await contentOf(store, 'latest/incoming/a.jpg')).toBe('restored jpeg: two');
  });
});

describe('any order of deliveries', () => {
  it('ends with one result a version that was seen, and the alias at the newest', async () => {
    const uploads = fc.array(fc.record({ file: fc.nat(2), copies: fc.integer({ min: 1, max: 3 }), late: fc.nat(20) }), {
      minLength: 1,
      maxLength: 8,
    });
    await fc.assert(
      fc.asyncProperty(uploads, fc.boolean(), async (plan, sequenced) => {
        const store = createMemoryStore();
        const workers = [setUp({}, store), setUp({}, store)];
        const newest = new Map<string, string>();
        const pending: { at: number; event: UploadEvent }[] = [];
        for (const [index, { file, copies, late }] of plan.entries()) {
          const key = `incoming/${file}.jpg`;
          const sequencer = index.toString(16).padStart(4, '0');
          const event = await upload(store, key, `content ${index}`, sequenced ? { sequencer } : {});
          newest.set(key, `restored jpeg: content ${index}`);
          for (let copy = 0; copy < copies; copy++) pending.push({ at: index + late * copy, event });
        }
        pending.sort((a, b) => a.at - b.at);
        for (let round = 0; pending.length > 0; round++) {
          if (round > 50) throw new Error('deliveries never settle');
          const batch = pending.splice(0);
          await Promise.all(
            batch.map(async ({ at, event }, index) => {
              const outcome = await workers[index % 2]!.trigger.process(event);
              if (outcome.status === 'failed') {
                expect(outcome.error.retry).toBe(true);
                pending.push({ at, event });
              }
            }),
          );
          await new Promise((resolve) => setTimeout(resolve, 2));
        }
        for (const [key, content] of newest) {
          expect(await contentOf(store, `latest/${key}`)).toBe(content);
        }
        const sources = await Promise.all(
          (await keysOf(store, 'restored/')).map(async (key) => (await store.head(key))!.metadata['elfin-source']),
        );
        expect(new Set(sources).size).toBe(sources.length);
        expect(await keysOf(store, '.elfin/')).toEqual([]);
      }),
      { numRuns: 40 },
    );
  });
});

describe('a worker that dies', () => {
  it('after its commit leaves the rest to the next, which announces under the same id', async () => {
    const told: [string, Parameters<Notify>[1]][] = [];
    let broken = true;
    const { store, trigger, restorer } = setUp({
      notify: async (id, completion) => {
        told.push([id, completion]);
        if (broken) throw new ElfinError('NETWORK_FAILED', 'Nobody is there; try later.');
      },
      retries: { attempts: 1 },
    });
    const event = await upload(store, 'incoming/a.jpg', 'photo');
    expect(await trigger.process(event)).toMatchObject({ status: 'failed', error: { code: 'NETWORK_FAILED' } });
    expect(await keysOf(store, 'restored/')).toHaveLength(1);
    broken = false;
    expect((await trigger.process(event)).status).toBe('done');
    expect(told).toHaveLength(2);
    expect(told[0]![0]).toBe(told[1]![0]);
    expect(restorer.calls()).toBe(1);
    expect(await keysOf(store, '.elfin/')).toEqual([]);
    expect((await trigger.process(event)).status).toBe('done');
    expect(told).toHaveLength(2);
  });
});

describe('errors', () => {
  it('puts what is no image, or too large, into quarantine and leaves the original', async () => {
    const { store, trigger } = setUp({ rules: [{ ...RULE, maxBytes: 10 }] });
    for (const [content, code] of [
      ['POISON', 'IMAGE_UNSUPPORTED'],
      ['far too long a photo', 'IMAGE_TOO_MANY_BYTES'],
    ] as const) {
      const event = await upload(store, 'incoming/bad.jpg', content);
      // However little the event says, a version has one entry.
      const { size: _, ...unsized } = event;
      const { etag: __, ...untold } = unsized;
      for (const told of [event, unsized, untold]) {
        const outcome = await trigger.process(told);
        expect(outcome).toMatchObject({ status: 'quarantined', error: { code, retry: false } });
        const entry = JSON.parse((await contentOf(store, (outcome as { key: string }).key))!);
        expect(entry).toMatchObject({ bucket: 'photos', key: 'incoming/bad.jpg', rule: 'photos', code });
      }
    }
    expect(await keysOf(store, '.elfin/quarantine/')).toHaveLength(2);
    expect(await keysOf(store, '.elfin/claims/')).toEqual([]);
    expect(await keysOf(store, 'restored/')).toEqual([]);
  });

  it('quarantines names that would lead out of the destination', async () => {
    const { store, trigger, restorer } = setUp();
    for (const key of [
      'incoming/../../etc/passwd.jpg',
      'incoming/a\\..\\b.jpg',
      'incoming/./a.jpg',
      'incoming/\u0007.jpg',
      `incoming/${'x'.repeat(1010)}.jpg`,
    ]) {
      const event = await upload(store, key, 'photo');
      expect(await trigger.process(event), key).toMatchObject({ status: 'quarantined', error: { code: 'KEY_UNSAFE' } });
    }
    expect(restorer.calls()).toBe(0);
  });

  it('tries again what may pass', async () => {
    const { store, trigger } = setUp();
    const event = await upload(store, 'incoming/weak.jpg', 'WEAK');
    expect((await trigger.process(event)).status).toBe('restored');
    expect(trigger.counts()).toMatchObject({ inferences: 3, retries: 2 });
  });

  it('settles deletions and says when an object is gone', async () => {
    const { store, trigger } = setUp();
    const event = await upload(store, 'incoming/a.jpg', 'photo');
    await store.delete('incoming/a.jpg');
    expect(await trigger.process(event)).toMatchObject({ status: 'gone', error: { code: 'OBJECT_GONE' } });
    expect((await trigger.process({ ...event, kind: 'removed' })).status).toBe('skipped');
    expect(await keysOf(store, '.elfin/')).toEqual([]);
  });

  it.each([
    ['INPUT_UNREADABLE', false],
    ['CREDENTIALS_EXPIRED', true],
    ['STORE_FAILED', true],
  ] as const)('hands %s back with its event', async (code, retry) => {
    const store = createMemoryStore();
    const event = await upload(store, 'incoming/a.jpg', 'photo');
    const failing: ObjectStore = {
      ...store,
      get: async (key, options) => {
        if (key.startsWith('incoming/')) throw new ElfinError(code, 'The store said no.');
        return store.get(key, options);
      },
    };
    const { trigger } = setUp({}, failing);
    expect(await trigger.process(event)).toMatchObject({ status: 'failed', error: { code, retry } });
    expect(await keysOf(store, '.elfin/')).toEqual([]);
    expect(trigger.counts().retries).toBe(retry ? 2 : 0);
  });

  it('knows only its buckets, and only stores that keep their word', async () => {
    const { store, trigger } = setUp();
    const event = await upload(store, 'incoming/a.jpg', 'photo');
    const elsewhere = await trigger.process({ ...event, bucket: 'elsewhere' });
    expect(elsewhere).toMatchObject({ status: 'failed', error: { code: 'CONFIG_INVALID' } });
    const careless = setUp(
      {},
      { ...store, put: (key, bytes, { ifAbsent: _, ...options } = {}) => store.put(key, bytes, options) },
    );
    const refused = await careless.trigger.process(event);
    expect(refused).toMatchObject({ status: 'failed', error: { code: 'STORE_UNSUITABLE' } });
    await expect(careless.trigger.check(['photos'])).rejects.toMatchObject({ code: 'STORE_UNSUITABLE' });
    expect(careless.restorer.calls()).toBe(0);
  });

  it('does not guess at the version of an object that has no ETag', async () => {
    const { store } = setUp();
    const { etag: _, ...event } = await upload(store, 'incoming/a.jpg', 'photo');
    const head: ObjectStore['head'] = async (key) => {
      const found = await store.head(key);
      return found && { ...found, etag: '' };
    };
    const { trigger, restorer } = setUp({}, { ...store, head });
    const outcome = await trigger.process(event);
    expect(outcome).toMatchObject({ status: 'failed', error: { code: 'STORE_UNSUITABLE', retry: false } });
    expect(restorer.calls()).toBe(0);
  });

  it('never writes an alias over what is not its own', async () => {
    const { store, trigger } = setUp();
    await upload(store, 'latest/incoming/a.jpg', 'precious');
    const event = await upload(store, 'incoming/a.jpg', 'photo');
    expect(await trigger.process(event)).toMatchObject({ status: 'failed', error: { code: 'OUTPUT_EXISTS' } });
    expect(await contentOf(store, 'latest/incoming/a.jpg')).toBe('precious');
  });
});

describe('an envelope', () => {
  it('is answered item by item, and what time does not allow is given back', async () => {
    const { store, trigger } = setUp({ concurrency: 1, reserveMs: 10 });
    await upload(store, 'incoming/a.jpg', 'a');
    await upload(store, 'incoming/b.jpg', 'b');
    const job = (...keys: string[]) => ({
      invocationSchemaVersion: '2.0',
      invocationId: 'i',
      job: { id: 'j' },
      tasks: keys.map((key, index) => ({ taskId: `t${index}`, s3Key: key, s3Bucket: 'photos' })),
    });
    const handled = await trigger.handle(job('incoming/a.jpg', 'incoming/b.jpg', 'incoming/missing.jpg'), {
      remaining: () => (trigger.counts().restored > 0 ? 5 : 1000),
    });
    expect(handled.map(({ id, outcome }) => [id, outcome.status])).toEqual([
      ['t0', 'restored'],
      ['t1', 'failed'],
      ['t2', 'failed'],
    ]);
    expect(handled[1]!.outcome).toMatchObject({ error: { code: 'DEADLINE_EXCEEDED', retry: true } });
    const rest = await trigger.handle(job('incoming/b.jpg', 'incoming/missing.jpg'));
    expect(rest.map(({ outcome }) => outcome.status)).toEqual(['restored', 'gone']);
    const unknown = await trigger.handle({ what: 'is this' });
    expect(unknown).toMatchObject([{ path: '$', outcome: { status: 'failed', error: { code: 'EVENT_UNKNOWN' } } }]);
    const counts = trigger.counts();
    const { events, restored, done, skipped, gone, quarantined, failed } = counts;
    expect(events).toBe(restored + done + skipped + gone + quarantined + failed);
  });

  it('gives up work in time, its claim given back', async () => {
    const store = createMemoryStore();
    const slow = cheapRestorer({ delayMs: 300 });
    const { trigger } = setUp({ restorer: slow, reserveMs: 40 }, store);
    const event = await upload(store, 'incoming/a.jpg', 'photo');
    const end = Date.now() + 150;
    const outcome = await trigger.process(event, { remaining: () => end - Date.now() });
    expect(outcome).toMatchObject({ status: 'failed', error: { code: 'DEADLINE_EXCEEDED' } });
    expect(await keysOf(store, '.elfin/')).toEqual([]);
  });
});

describe('steps', () => {
  it('run before the result is there, so that a failing one is made up for', async () => {
    let fail = true;
    const { store, trigger } = setUp({
      retries: { attempts: 1 },
      steps: [
        {
          name: 'thumbnail',
          async run({ event, result, storage, marks }) {
            if (fail) throw new Error('no disk');
            await storage(event.bucket)!.put(`thumbs/${event.key}`, result.bytes.subarray(0, 8), { metadata: marks });
          },
        },
      ],
    });
    const event = await upload(store, 'incoming/a.jpg', 'photo');
    expect(await trigger.process(event)).toMatchObject({ status: 'failed', error: { code: 'RUNTIME_FAILED' } });
    expect(await keysOf(store, 'restored/')).toEqual([]);
    fail = false;
    expect((await trigger.process(event)).status).toBe('restored');
    expect(await contentOf(store, 'thumbs/incoming/a.jpg')).toBe('restored');
  });
});
