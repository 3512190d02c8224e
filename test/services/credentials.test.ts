import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PutBucketPolicyCommand, type S3Client } from '@aws-sdk/client-s3';
import { createTrigger, type Handled, parseEnvelope } from '@elfin/plugins';
import { startWatch } from '@elfin/plugins/node';
import { asS3Notification } from '@elfin/plugins/sqs';
import { createClientStore } from '@elfin/storage/aws';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { keysUnder } from '../helpers/keys-under.ts';
import { cheapRestorer, contentOf, upload } from '../helpers/upload.ts';
import { GUEST, type S3Server, s3Client, startMinio, startVersitygw } from './helpers/s3.ts';
import { assumeRole, expired, type Session } from './helpers/sts.ts';

const SECRET = 'a-shared-secret-of-this-test';
let folder: string;
const ends: (() => Promise<void> | void)[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'elfin-credentials-'));
});
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
  await rm(folder, { recursive: true, force: true });
});

/** `elfin watch` with these credentials, told of uploads by hand. */
async function watchAs(client: S3Client, { bucket }: S3Server) {
  const handled: Handled[] = [];
  const restorer = cheapRestorer();
  const store = createClientStore({ client, bucket });
  const trigger = createTrigger({
    rules: [{ prefix: 'incoming/', task: 'derain' }],
    storage: (name) => (name === bucket ? store : undefined),
    restorer,
    retries: { attempts: 1 },
  });
  const watch = await startWatch({
    trigger,
    journal: join(folder, 'journal'),
    secret: SECRET,
    onHandled: (items) => handled.push(...items),
  });
  ends.push(
    () => client.destroy(),
    () => watch.stop(),
  );
  return {
    handled,
    restorer,
    drain: watch.drain,
    async tell(key: string) {
      const body = asS3Notification({ kind: 'created', name: 'x', source: 'x', bucket, key });
      expect((await fetch(`${watch.url}/${SECRET}`, { method: 'POST', body })).status).toBe(202);
    },
    journalled: (state: 'pending' | 'dead') => readdir(join(folder, 'journal', state)),
  };
}

/** What is denied is in the dead letters, with the reason, and nothing was made. */
async function expectDenied(watch: Awaited<ReturnType<typeof watchAs>>, server: S3Server, key: string) {
  await watch.tell(key);
  await watch.drain.idle();
  expect(watch.handled).toMatchObject([
    { event: { key }, outcome: { status: 'failed', error: { code: 'INPUT_UNREADABLE', retry: false } } },
  ]);
  expect(await watch.journalled('pending')).toEqual([]);
  const [event = '', reason = ''] = (await watch.journalled('dead')).sort();
  const dead = async (name: string) => JSON.parse(await readFile(join(folder, 'journal', 'dead', name), 'utf8'));
  expect(parseEnvelope(await dead(event))).toMatchObject([{ event: { bucket: server.bucket, key } }]);
  expect(await dead(reason)).toMatchObject({
    errors: [{ code: 'INPUT_UNREADABLE', message: expect.stringContaining('AccessDenied') }],
  });
  const store = createClientStore({ client: server.client, bucket: server.bucket });
  expect(await keysUnder(store, `restored/${key}/`)).toEqual([]);
  expect((await keysUnder(store, '.elfin/claims/')).filter((name) => !name.endsWith('/keep.json'))).toEqual([]);
  expect(watch.restorer.calls()).toBe(0);
}

describe('MinIO', () => {
  let server: S3Server;
  beforeAll(async () => {
    server = await startMinio();
  });
  afterAll(() => server?.stop());
  const store = () => createClientStore({ client: server.client, bucket: server.bucket });

  it('whose session runs out amid the work: the event waits, and is restored once the session is renewed', async () => {
    const good = await assumeRole(server);
    let current: Session = good;
    // Near its end, so that the SDK asks for a new one each time.
    const provider = async () => ({ ...current, expiration: new Date(Date.now() + 1000) });
    const watch = await watchAs(s3Client(server.endpoint, provider), server);
    await upload(store(), 'incoming/before.jpg', 'photo 1');
    await watch.tell('incoming/before.jpg');
    await watch.drain.idle();
    expect(watch.handled.splice(0)).toMatchObject([{ outcome: { status: 'restored' } }]);

    current = expired(good, server);
    await upload(store(), 'incoming/amid.jpg', 'photo 2');
    await watch.tell('incoming/amid.jpg');
    await expect.poll(() => watch.handled.length, { timeout: 30_000 }).toBeGreaterThan(1);
    expect(new Set(watch.handled.map(({ outcome }) => outcome.status))).toEqual(new Set(['failed']));
    expect(watch.handled[0]).toMatchObject({ outcome: { error: { code: 'CREDENTIALS_EXPIRED', retry: true } } });
    expect(await watch.journalled('pending')).toHaveLength(1);
    expect(await watch.journalled('dead')).toEqual([]);

    current = await assumeRole(server);
    await watch.drain.idle();
    expect(watch.handled.at(-1)).toMatchObject({ outcome: { status: 'restored' } });
    expect(await watch.journalled('pending')).toEqual([]);
    expect(await watch.journalled('dead')).toEqual([]);
    const [key = '', ...others] = await keysUnder(store(), 'restored/incoming/amid.jpg/');
    expect(others).toEqual([]);
    expect(await contentOf(store(), key)).toBe('restored jpeg: photo 2');
    expect(watch.restorer.calls()).toBe(2);
  });

  const allow = (...Action: string[]) => ({ Effect: 'Allow', Action, Resource: ['arn:aws:s3:::*'] });
  it.each([
    [
      'reading uploads',
      [allow('s3:*'), { Effect: 'Deny', Action: ['s3:GetObject'], Resource: ['arn:aws:s3:::photos/incoming/*'] }],
    ],
    ['writing', [allow('s3:GetObject', 's3:ListBucket')]],
  ])('whose policy forbids %s: the event goes to the dead letters, with the reason', async (what, statements) => {
    const key = `incoming/denied ${what}.jpg`;
    await upload(store(), key, 'photo');
    const session = await assumeRole(server, statements);
    await expectDenied(await watchAs(s3Client(server.endpoint, session), server), server, key);
  });
});

describe('versitygw', () => {
  let server: S3Server;
  beforeAll(async () => {
    server = await startVersitygw({ guest: true });
  });
  afterAll(() => server?.stop());

  const everything = ['arn:aws:s3:::photos', 'arn:aws:s3:::photos/*'];
  it.each([
    [
      'reading uploads',
      [
        { Effect: 'Allow', Action: ['s3:*'], Resource: everything },
        { Effect: 'Deny', Action: ['s3:GetObject'], Resource: ['arn:aws:s3:::photos/incoming/*'] },
      ],
    ],
    ['writing', [{ Effect: 'Allow', Action: ['s3:GetObject', 's3:ListBucket'], Resource: everything }]],
  ])(
    'whose bucket policy forbids %s: the event goes to the dead letters, with the reason',
    async (what, statements) => {
      const key = `incoming/denied ${what}.jpg`;
      await upload(createClientStore({ client: server.client, bucket: server.bucket }), key, 'photo');
      const Statement = statements.map((statement) => ({ ...statement, Principal: { AWS: [GUEST.accessKeyId] } }));
      const Policy = JSON.stringify({ Version: '2012-10-17', Statement });
      await server.client.send(new PutBucketPolicyCommand({ Bucket: server.bucket, Policy }));
      await expectDenied(await watchAs(s3Client(server.endpoint, GUEST), server), server, key);
    },
  );
});
