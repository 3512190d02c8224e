import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateBucketCommand, DeleteObjectCommand } from '@aws-sdk/client-s3';
import { assertConditionalWrites, createTrigger, type RuleInput } from '@elfin/plugins';
import { startWatch } from '@elfin/plugins/node';
import { createClientStore } from '@elfin/storage/aws';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { awkwardKeys, inLanes } from '../helpers/storm.ts';
import { cheapRestorer, contentOf, upload } from '../helpers/upload.ts';
import { freePort } from './helpers/process.ts';
import { type S3Server, s3Client, startMinio, startVersitygw } from './helpers/s3.ts';

const SECRET = 'a-shared-secret-of-this-test';

describe.each([
  ['versitygw', startVersitygw],
  ['MinIO', startMinio],
] as const)('%s', (name, start) => {
  let server: S3Server;
  let port: number;
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'elfin-s3-'));
    port = await freePort();
    // The receiver has to be up before versitygw; the watch below takes its place.
    const early = await startWatch({
      trigger: triggerOn(() => undefined),
      journal: join(folder, 'early'),
      secret: SECRET,
      port,
    });
    const path = name === 'versitygw' ? `/events/${SECRET}` : '/events';
    server = await start({ webhook: `http://127.0.0.1:${port}${path}`, token: SECRET });
    await early.stop();
  });
  afterAll(async () => {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const store = (client = server.client, bucket = server.bucket) => createClientStore({ client, bucket });
  const triggerOn = (storage: Parameters<typeof createTrigger>[0]['storage']) =>
    createTrigger({
      rules: [{ prefix: 'incoming/', task: 'derain', alias: 'latest/{key}' }],
      storage,
      restorer: cheapRestorer(),
      retries: { attempts: 2, baseMs: 10 },
    });

  it('keeps its word on conditional writes', async () => {
    await assertConditionalWrites(store(), '.elfin/claims/');
  });

  it('gives back keys, types and metadata as they were, and lists past a page', async () => {
    const keys = awkwardKeys(16).map((key) => key.replace('incoming/', 'kept/'));
    for (const key of keys) await upload(store(), key, key);
    expect((await store().list('kept/')).objects.map(({ key }) => key).sort()).toEqual([...keys].sort());
    expect(await store().head(keys[3]!)).toMatchObject({ type: 'image/jpeg', metadata: { camera: 'test' } });
    const place = 'Süd, 写真 🌧️ '.repeat(8).trim();
    await store().put('kept/where.jpg', new Uint8Array(1), { metadata: { place, camera: 'test' } });
    expect((await store().head('kept/where.jpg'))?.metadata).toEqual({ place, camera: 'test' });
    // In a bucket that MinIO tells nobody of: it would keep a thousand events, and deliver them one by one before those
    // that the watch below waits for.
    await server.client.send(new CreateBucketCommand({ Bucket: 'many' }));
    const crowd = store(server.client, 'many');
    const many = Array.from({ length: 1005 }, (_, index) => `many/${String(index).padStart(4, '0')}`);
    await inLanes(many, 16, async (key) => void (await crowd.put(key, new Uint8Array(1), {})));
    const first = await crowd.list('many/');
    expect(first.objects).toHaveLength(1000);
    const rest = await crowd.list('many/', first.cursor);
    expect(rest).toMatchObject({ objects: many.slice(1000).map((key) => ({ key })) });
    expect(rest.cursor).toBeUndefined();
  });

  it('carries tags and user metadata over to the result and its alias, and the storage class where it knows any', async () => {
    const rule: RuleInput = {
      prefix: 'incoming/',
      task: 'derain',
      alias: 'latest/{key}',
      keep: ['userMetadata', 'tags', 'storageClass'],
      tags: { by: 'elfin' },
    };
    const trigger = createTrigger({ rules: [rule], storage: () => store(), restorer: cheapRestorer() });
    const storageClass = name === 'MinIO' ? 'REDUCED_REDUNDANCY' : undefined;
    const key = 'incoming/tagged ü.jpg';
    await store().put(key, new TextEncoder().encode('photo'), {
      type: 'image/jpeg',
      metadata: { camera: 'test', place: 'Süd' },
      tags: { project: 'rain + fog', 'a:b/c': '1=2' },
      ...(storageClass && { storageClass }),
    });
    const event = { kind: 'created', name: 'Put', source: 'test', bucket: server.bucket, key } as const;
    const outcome = await trigger.process(event);
    expect(outcome).toMatchObject({ status: 'restored' });
    for (const place of [(outcome as { key: string }).key, `latest/${key}`]) {
      expect(await store().tags?.(place)).toEqual({ project: 'rain + fog', 'a:b/c': '1=2', by: 'elfin' });
      const head = await store().head(place);
      expect(head).toMatchObject({ type: 'image/jpeg', metadata: { camera: 'test', place: 'Süd' } });
      expect(head?.storageClass).toBe(storageClass);
    }
    expect(await store().tags?.('incoming/not-there.jpg')).toEqual({});
  });

  it('says what is wrong, and whether to come again', async () => {
    const event = await upload(store(), 'incoming/denied.jpg', 'photo');
    const strangers = s3Client(server.endpoint, { accessKeyId: 'nobody', secretAccessKey: 'nothing-at-all' });
    const denied = await triggerOn(() => store(strangers)).process(event);
    expect(denied).toMatchObject({ status: 'failed', error: { code: 'INPUT_UNREADABLE', retry: false } });
    // Without an ETag the object is looked up by HEAD, whose refusal says nothing of why.
    const { etag: _, ...untold } = event;
    const reading = { ...store(), head: store(strangers).head, get: store(strangers).get };
    expect(await triggerOn(() => reading).process(untold)).toMatchObject({ error: { code: 'INPUT_UNREADABLE' } });
    const nowhere = await triggerOn(() => store(server.client, 'no-such-bucket')).process(event);
    expect(nowhere).toMatchObject({ status: 'failed', error: { code: 'INPUT_UNREADABLE', retry: false } });
    const off = await triggerOn(() => store(s3Client('http://127.0.0.1:1'))).process(event);
    expect(off).toMatchObject({ status: 'failed', error: { code: 'STORE_FAILED', retry: true } });
    await server.client.send(new DeleteObjectCommand({ Bucket: server.bucket, Key: event.key }));
    const gone = await triggerOn(() => store()).process(event);
    expect(gone).toMatchObject({ status: 'gone', error: { code: 'OBJECT_GONE' } });
  });

  it('tells the watch of uploads by itself, with the shared secret', async () => {
    const trigger = triggerOn((bucket) => (bucket === server.bucket ? store() : undefined));
    const watch = await startWatch({ trigger, journal: join(folder, 'journal'), secret: SECRET, port });
    try {
      const keys = awkwardKeys(8).map((key) => key.replace('incoming/', 'incoming/told/'));
      for (const key of keys) await upload(store(), key, key);
      const results = async () => (await store().list('restored/incoming/told/')).objects;
      await expect.poll(async () => (await results()).length, { timeout: 60_000, interval: 200 }).toBe(keys.length);
      for (const key of keys) {
        await expect.poll(() => contentOf(store(), `latest/${key}`), { timeout: 10_000 }).toMatch(/^restored \w+: /);
      }
      await watch.drain.idle();
      expect(await readdir(join(folder, 'journal', 'dead'))).toEqual([]);
      // Its own results were told of as well, and left alone.
      expect(trigger.counts().restored).toBe(keys.length);
    } finally {
      await watch.stop();
    }
  });
});
