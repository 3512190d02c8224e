import { setTimeout as sleep } from 'node:timers/promises';
import {
  DeleteMessageCommand,
  type Message,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
} from '@aws-sdk/client-sqs';
import { createTrigger } from '@elfin/plugins';
import { createLambdaHandler } from '@elfin/plugins/lambda';
import { asS3Notification } from '@elfin/plugins/sqs';
import { createClientStore } from '@elfin/storage/aws';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { elfin } from '../helpers/cli.ts';
import { awkwardKeys, seeded, shuffle } from '../helpers/storm.ts';
import { cheapRestorer, upload } from '../helpers/upload.ts';
import { startElasticMq } from './helpers/elasticmq.ts';
import { type S3Server, startVersitygw } from './helpers/s3.ts';
import { checkResults, uploadPhotos } from './helpers/storm.ts';

const VISIBILITY = 2;
let server: S3Server;
let sqs: Awaited<ReturnType<typeof startElasticMq>>;

beforeAll(async () => {
  [server, sqs] = await Promise.all([startVersitygw(), startElasticMq(VISIBILITY)]);
});
afterAll(async () => {
  await Promise.all([server.stop(), sqs.stop()]);
});

const receive = async (queue: 'uploads' | 'dead', count = 10): Promise<Message[]> => {
  const command = new ReceiveMessageCommand({ QueueUrl: sqs.url(queue), MaxNumberOfMessages: count });
  return (await sqs.client.send(command)).Messages ?? [];
};
const remove = (queue: 'uploads' | 'dead', message: Message) =>
  sqs.client.send(new DeleteMessageCommand({ QueueUrl: sqs.url(queue), ReceiptHandle: message.ReceiptHandle }));
const send = (body: string) =>
  sqs.client.send(new SendMessageCommand({ QueueUrl: sqs.url('uploads'), MessageBody: body }));

const store = () => createClientStore({ client: server.client, bucket: server.bucket });
function setUp() {
  const restorer = cheapRestorer();
  const trigger = createTrigger({
    rules: [{ prefix: 'incoming/', task: 'derain', alias: 'latest/{key}' }],
    storage: (bucket) => (bucket === server.bucket ? store() : undefined),
    restorer,
    retries: { attempts: 1 },
  });
  const handler = createLambdaHandler(trigger);
  /** What Lambda's poller does: hands over a batch, and deletes what was not reported as failed. */
  const poll = async (): Promise<number> => {
    const messages = await receive('uploads');
    if (messages.length === 0) return 0;
    const Records = messages.map((message) => ({
      messageId: message.MessageId,
      body: message.Body,
      eventSource: 'aws:sqs',
    }));
    const answer = (await handler({ Records }, { getRemainingTimeInMillis: () => 60_000 })) as {
      batchItemFailures: { itemIdentifier: string }[];
    };
    const failed = new Set(answer.batchItemFailures.map(({ itemIdentifier }) => itemIdentifier));
    for (const message of messages) if (!failed.has(message.MessageId!)) await remove('uploads', message);
    return messages.length;
  };
  return { trigger, restorer, poll };
}

async function pollUntil(poll: () => Promise<number>, done: () => boolean | Promise<boolean>) {
  for (let waited = 0; !(await done()); waited++) {
    if (waited > 1500) throw new Error('The queue never came to an end.');
    if ((await poll()) === 0) await sleep(20);
  }
}

describe('SQS', () => {
  beforeEach(async () => {
    for (const queue of ['uploads', 'dead'] as const)
      for (const message of await receive(queue)) await remove(queue, message);
  });

  it('restores each of 200 photos once, each told one to three times, shuffled', async () => {
    const { trigger, restorer, poll } = setUp();
    const keys = awkwardKeys(200);
    const contents = await uploadPhotos(server.client, server.bucket, keys);
    const random = seeded(5);
    const bodies = keys.flatMap((key) => {
      const event = { kind: 'created', name: 'x', source: 'x', bucket: server.bucket, key } as const;
      return Array.from({ length: 1 + Math.floor(random() * 3) }, () => asS3Notification(event));
    });
    const mixed = shuffle(bodies, random);
    for (let i = 0; i < mixed.length; i += 10) {
      const Entries = mixed.slice(i, i + 10).map((MessageBody, index) => ({ Id: String(index), MessageBody }));
      await sqs.client.send(new SendMessageBatchCommand({ QueueUrl: sqs.url('uploads'), Entries }));
    }
    await pollUntil(poll, () => trigger.counts().restored + trigger.counts().done >= mixed.length);
    expect(await checkResults(server.client, server.bucket, contents)).toEqual({ results: 200, wrong: [], claims: [] });
    expect(restorer.calls()).toBe(200);
  });

  it('delivers again what failed, and what a dead consumer had in its hands, after the visibility timeout', async () => {
    const { trigger, poll } = setUp();
    await upload(store(), 'incoming/sqs/weak.jpg', 'WEAK');
    await upload(store(), 'incoming/sqs/held.jpg', 'photo');
    const event = (key: string) =>
      asS3Notification({ kind: 'created', name: 'x', source: 'x', bucket: server.bucket, key });
    await send(event('incoming/sqs/held.jpg'));
    expect(await receive('uploads')).toHaveLength(1);
    // Whoever received it is dead; nobody else sees it yet.
    expect(await receive('uploads')).toHaveLength(0);
    const taken = Date.now();
    await send(event('incoming/sqs/weak.jpg'));
    await pollUntil(poll, () => trigger.counts().restored === 2);
    expect(trigger.counts()).toMatchObject({ failed: 2, restored: 2 });
    expect(Date.now() - taken).toBeGreaterThan(VISIBILITY * 1000 - 500);
    await sleep(VISIBILITY * 1000 + 200);
    expect(await receive('uploads')).toEqual([]);
    expect(await receive('dead')).toEqual([]);
  });

  it('gives poison up to the dead letters after three receipts', async () => {
    const { trigger, poll } = setUp();
    await send('{"what":"is this"}');
    let dead: Message[] = [];
    await pollUntil(poll, async () => {
      dead = await receive('dead');
      return dead.length > 0;
    });
    expect(dead[0]!.Body).toBe('{"what":"is this"}');
    expect(trigger.counts()).toMatchObject({ failed: 3, events: 3 });
  });

  it('takes what elfin backfill fills it with', async () => {
    const { trigger, poll } = setUp();
    for (let i = 0; i < 25; i++) await upload(store(), `incoming/backfill/ü +${i}.jpg`, `photo ${i}`);
    const place = ['s3://photos/incoming/backfill/', '--endpoint', server.endpoint, '--task', 'derain'];
    const words = ['backfill', ...place, '--to', sqs.url('uploads')];
    const { code, stdout, stderr } = await elfin(words, { env: server.env });
    expect([code, stdout.toString(), stderr]).toEqual([0, '25 listed: 25 enqueued\n', '']);
    await pollUntil(poll, () => trigger.counts().restored === 25);
  });
});
