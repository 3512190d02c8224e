import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createMemoryStore } from '@elfin/storage';
import { afterEach, expect, it } from 'vitest';
import { cheapRestorer, upload } from '../../../../test/helpers/upload.ts';
import { createLambdaHandler } from '../entries/lambda.ts';
import { asS3Notification } from '../entries/sqs.ts';
import { createAwsNotifier, createSqsQueue, createTrigger, startSqsConsumer } from '../index.ts';

const cleanups: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const credentials = { accessKeyId: 'id', secretAccessKey: 'secret' };

interface Seen {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

async function listen(answer: (seen: Seen) => readonly [status: number, body: unknown]) {
  const seen: Seen[] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const part of request) body += part;
    const entry = { headers: request.headers, body };
    seen.push(entry);
    const [status, told] = answer(entry);
    response.writeHead(status).end(typeof told === 'string' ? told : JSON.stringify(told));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { seen, endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

const NOTIFICATION = {
  type: 'elfin.failed',
  timestamp: '2026-01-01T00:00:00.000Z',
  data: { source: { bucket: 'b', key: 'k' }, code: 'IMAGE_CORRUPT', message: 'Broken.' },
} as const;

it('notifies by SNS, EventBridge and SQS, each signed for its service', async () => {
  const { seen, endpoint } = await listen(() => [200, {}]);
  const signal = AbortSignal.timeout(10_000);
  const targets = [
    'arn:aws:sns:eu-central-1:1:topic',
    'arn:aws:events:eu-west-1:1:event-bus/photos',
    `${endpoint}/1/told`,
  ];
  for (const target of targets)
    await createAwsNotifier({ target, credentials, endpoint })('id-1', NOTIFICATION, signal);
  const scopes = seen.map(
    ({ headers }) => /Credential=id\/\d+\/([\w-]+\/\w+)\//.exec(headers.authorization ?? '')?.[1],
  );
  expect(scopes).toEqual(['eu-central-1/sns', 'eu-west-1/events', 'us-east-1/sqs']);
  expect(JSON.parse(new URLSearchParams(seen[0]!.body).get('Message')!)).toEqual(NOTIFICATION);
  expect(JSON.parse(seen[1]!.body).Entries[0]).toMatchObject({
    Source: 'elfin',
    DetailType: 'elfin.failed',
    EventBusName: targets[1],
  });
  expect(JSON.parse(JSON.parse(seen[2]!.body).MessageBody)).toEqual({ id: 'id-1', ...NOTIFICATION });
  expect(() => createAwsNotifier({ target: 'nothing', credentials })).toThrow(/no target of notifications/);
});

it.each([
  [400, { __type: 'com.amazonaws.sqs#QueueDoesNotExist', message: 'No.' }, 'CONFIG_INVALID', false],
  [400, { __type: 'ThrottlingException' }, 'NETWORK_FAILED', true],
  [503, 'down', 'NETWORK_FAILED', true],
  [403, { __type: 'ExpiredTokenException' }, 'CREDENTIALS_EXPIRED', true],
])('sorts a refusal %s %j', async (status, body, code, retry) => {
  const { endpoint } = await listen(() => [status, body]);
  const queue = createSqsQueue({ queueUrl: `${endpoint}/1/q`, credentials });
  await expect(queue.receive({ max: 1, waitSeconds: 0 })).rejects.toMatchObject({ code, retry });
});

it('a consumer deletes what is done, and shows again what failed, when it may pass', async () => {
  const store = createMemoryStore();
  const good = await upload(store, 'incoming/a.jpg', 'photo');
  const bodies = [asS3Notification(good), '{"what":"is this"}', 'no JSON'];
  const waiting = bodies.map((Body, index) => ({ MessageId: `m${index}`, ReceiptHandle: `r${index}`, Body }));
  const done: string[] = [];
  const { endpoint, seen } = await listen(({ headers, body }) => {
    const action = String(headers['x-amz-target']).split('.')[1];
    const { ReceiptHandle, VisibilityTimeout } = JSON.parse(body);
    if (action === 'ReceiveMessage') return [200, { Messages: waiting.splice(0) }];
    done.push([action, ReceiptHandle, VisibilityTimeout].filter((word) => word !== undefined).join(' '));
    return [200, {}];
  });
  const trigger = createTrigger({
    rules: [{ prefix: 'incoming/', task: 'derain' }],
    storage: () => store,
    restorer: cheapRestorer(),
  });
  const queue = createSqsQueue({ queueUrl: `${endpoint}/1/q`, credentials });
  const consumer = startSqsConsumer({ queue, trigger, waitSeconds: 0 });
  await expect.poll(() => done.length).toBe(3);
  await consumer.stop();
  expect(done.sort()).toEqual(['ChangeMessageVisibility r1 0', 'ChangeMessageVisibility r2 0', 'DeleteMessage r0']);
  expect(seen[0]!.headers['content-type']).toBe('application/x-amz-json-1.0');
  expect(trigger.counts()).toMatchObject({ restored: 1, failed: 2 });
});

it('Lambda has a message that only lacked time shown again at once', async () => {
  const store = createMemoryStore();
  const event = await upload(store, 'incoming/a.jpg', 'photo');
  const trigger = createTrigger({
    rules: [{ prefix: 'incoming/', task: 'derain' }],
    storage: () => store,
    restorer: cheapRestorer(),
  });
  const shown: unknown[] = [];
  const handler = createLambdaHandler(trigger, { showAgain: async (...call) => void shown.push(call) });
  const record = {
    messageId: 'm1',
    receiptHandle: 'r1',
    eventSourceARN: 'arn:aws:sqs:eu-central-1:1:uploads',
    eventSource: 'aws:sqs',
    body: asS3Notification(event),
  };
  const answer = await handler({ Records: [record] }, { getRemainingTimeInMillis: () => 1000 });
  expect(answer).toEqual({ batchItemFailures: [{ itemIdentifier: 'm1' }] });
  expect(shown).toEqual([[{ queueArn: record.eventSourceARN, receipt: 'r1' }, 0]]);
  await handler({ Records: [record] }, { getRemainingTimeInMillis: () => 100_000 });
  expect(shown).toHaveLength(1);
});
