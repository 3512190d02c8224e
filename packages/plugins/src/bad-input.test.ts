import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { S3Client } from '@aws-sdk/client-s3';
import type { ElfinErrorCode } from '@elfin/core';
import { createClientStore } from '@elfin/storage/aws';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { keysUnder } from '../../../test/helpers/keys-under.ts';
import { startS3 } from '../../../test/helpers/s3-server.ts';
import { cheapRestorer } from '../../../test/helpers/upload.ts';
import { createQueueConsumer } from './entries/cloudflare.ts';
import { createLambdaHandler } from './entries/lambda.ts';
import { openJournal, startDrain } from './entries/node.ts';
import { asS3Notification } from './entries/sqs.ts';
import { createTrigger } from './index.ts';

interface Case {
  readonly envelope: unknown;
  /** What lies under the event's key. */
  readonly object?: string;
  /** What S3 answers instead where the object is asked for. */
  readonly fault?: readonly [number, string];
  readonly code: ElfinErrorCode;
  /**
   * `quarantined` and `gone` are settled, `buried` goes to the dead letters, `again` comes again, `waits` for a person: where
   * nobody else keeps it, it comes again until the person has been there.
   */
  readonly fate: 'quarantined' | 'gone' | 'buried' | 'again' | 'waits';
}

const KEY = 'incoming/a.jpg';
const told = (key: string, more: { readonly bucket?: string; readonly size?: number } = {}): unknown =>
  JSON.parse(asS3Notification({ kind: 'created', name: 'Put', source: 'x', bucket: 'photos', key, ...more }));
const record = { eventVersion: '2.1', eventSource: 'aws:s3', eventName: 'ObjectCreated:Put', s3: { bucket: {} } };

const CASES: Readonly<Record<string, Case>> = {
  'a malformed envelope': { envelope: { Records: [record] }, code: 'EVENT_INVALID', fate: 'buried' },
  'an unknown source': { envelope: { from: 'somewhere' }, code: 'EVENT_UNKNOWN', fate: 'buried' },
  'a key that escapes the destination': {
    envelope: told('incoming/../../other/a.jpg'),
    code: 'KEY_UNSAFE',
    fate: 'quarantined',
  },
  'a huge object, its size told': {
    envelope: told(KEY, { size: 1e12 }),
    object: 'photo',
    code: 'IMAGE_TOO_MANY_BYTES',
    fate: 'quarantined',
  },
  'a huge object, its size untold': {
    envelope: told(KEY),
    object: 'x'.repeat(2000),
    code: 'IMAGE_TOO_MANY_BYTES',
    fate: 'quarantined',
  },
  'no image': { envelope: told(KEY), object: 'POISON', code: 'IMAGE_UNSUPPORTED', fate: 'quarantined' },
  'a deleted object': { envelope: told(KEY), code: 'OBJECT_GONE', fate: 'gone' },
  'a denied bucket': {
    envelope: told(KEY),
    object: 'photo',
    fault: [403, 'AccessDenied'],
    code: 'INPUT_UNREADABLE',
    fate: 'waits',
  },
  'a bucket that is not served': {
    envelope: told(KEY, { bucket: 'another' }),
    code: 'CONFIG_INVALID',
    fate: 'buried',
  },
  'expired credentials, as Amazon says it': {
    envelope: told(KEY),
    object: 'photo',
    fault: [400, 'ExpiredToken'],
    code: 'CREDENTIALS_EXPIRED',
    fate: 'again',
  },
  'expired credentials, as MinIO says it': {
    envelope: told(KEY),
    object: 'photo',
    fault: [403, 'InvalidTokenId'],
    code: 'CREDENTIALS_EXPIRED',
    fate: 'again',
  },
  'a store that fails': {
    envelope: told(KEY),
    object: 'photo',
    fault: [503, 'SlowDown'],
    code: 'STORE_FAILED',
    fate: 'again',
  },
};

let folder: string;
const ends: (() => Promise<unknown> | unknown)[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'elfin-bad-input-'));
});
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
  await rm(folder, { recursive: true });
});

async function setUp({ object, fault }: Case) {
  const s3 = await startS3({ fault: (_, key) => (key.startsWith('incoming/') ? fault : undefined) });
  const client = new S3Client({
    endpoint: s3.endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'id', secretAccessKey: 'secret' },
    forcePathStyle: true,
    maxAttempts: 1,
  });
  ends.push(s3.close, () => client.destroy());
  const store = createClientStore({ client, bucket: 'photos' });
  if (object !== undefined) {
    s3.objects.set(KEY, {
      bytes: Buffer.from(object),
      etag: '"0123456789abcdef"',
      type: 'image/jpeg',
      metadata: {},
      tags: new URLSearchParams(),
      storageClass: undefined,
    });
  }
  const trigger = createTrigger({
    rules: [{ prefix: 'incoming/', task: 'derain', maxBytes: 1000 }],
    storage: (bucket) => (bucket === 'photos' ? store : undefined),
    restorer: cheapRestorer(),
    retries: { attempts: 1 },
  });
  return { store, trigger };
}

it.each(Object.entries(CASES))('%s: a typed error, and the event is not dropped', async (_, one) => {
  const { store, trigger } = await setUp(one);
  const { envelope, code, fate } = one;
  const status = fate === 'buried' || fate === 'again' || fate === 'waits' ? 'failed' : fate;
  const retry = fate === 'again';
  const kept = fate !== 'buried' && status === 'failed';
  expect(await trigger.handle(envelope)).toMatchObject([{ outcome: { status, error: { code, retry } } }]);

  // SQS by way of Lambda: what is not named as failed is deleted from the queue.
  const message = { messageId: 'm1', body: JSON.stringify(envelope), eventSource: 'aws:sqs' };
  const lambda = createLambdaHandler(trigger);
  expect(await lambda({ Records: [message] }, { getRemainingTimeInMillis: () => 60_000 })).toEqual({
    batchItemFailures: status === 'failed' ? [{ itemIdentifier: 'm1' }] : [],
  });

  // Cloudflare Queues: each message is acknowledged or sent back; at once where waiting would not help.
  const answers: unknown[] = [];
  const consume = createQueueConsumer(() => trigger);
  const queued = {
    id: 'm1',
    body: envelope,
    attempts: 1,
    ack: () => answers.push('ack'),
    retry: (options?: object) => answers.push(options),
  };
  await consume({ messages: [queued] }, {});
  expect(answers).toEqual([status === 'failed' ? { delaySeconds: kept ? 10 : 0 } : 'ack']);

  // The journal of `elfin watch`.
  const journal = await openJournal(folder);
  await journal.append(envelope);
  let tries = 0;
  const drain = await startDrain({ journal, trigger, baseMs: 20_000, onHandled: () => tries++ });
  ends.push(() => drain.stop());
  if (kept) await expect.poll(() => tries).toBe(1);
  else await drain.idle();
  const dead = (await readdir(join(folder, 'dead'))).sort();
  expect(await journal.pending()).toHaveLength(kept ? 1 : 0);
  expect(dead).toHaveLength(fate === 'buried' ? 2 : 0);
  if (fate === 'buried') {
    const [event, reason] = await Promise.all(dead.map((name) => readFile(join(folder, 'dead', name), 'utf8')));
    expect(JSON.parse(event ?? '')).toEqual(envelope);
    expect(JSON.parse(reason ?? '')).toMatchObject({ errors: [{ code }] });
  }

  // However often it came: one entry that says why, no result, no claim.
  const entries = (await keysUnder(store, '.elfin/')).filter((key) => !key.endsWith('/keep.json'));
  expect(entries).toHaveLength(fate === 'quarantined' ? 1 : 0);
  expect(entries.every((key) => key.startsWith('.elfin/quarantine/'))).toBe(true);
  expect(await keysUnder(store, 'restored/')).toEqual([]);
});
