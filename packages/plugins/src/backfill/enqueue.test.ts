import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SQSClient } from '@aws-sdk/client-sqs';
import { afterEach, describe, expect, it } from 'vitest';
import { enqueueToSqs } from '../entries/sqs.ts';
import { type BackfillSink, enqueueToCloudflareQueue, type UploadEvent } from '../index.ts';

const ends: (() => unknown)[] = [];
afterEach(() => {
  for (const end of ends.splice(0).reverse()) end();
});

async function listen(answer: (response: ServerResponse, request: IncomingMessage) => unknown): Promise<string> {
  const server = createServer((request, response) => {
    request.resume().once('end', () => answer(response, request));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ends.push(
    () => server.close(),
    () => server.closeAllConnections(),
  );
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const EVENTS = Array.from(
  { length: 150 },
  (_, index): UploadEvent => ({ kind: 'created', name: 'x', source: 'x', bucket: 'photos', key: `${index}.jpg` }),
);
const toCloudflare = (endpoint: string) =>
  enqueueToCloudflareQueue({ accountId: 'a', queueId: 'q', token: 't', endpoint, baseMs: 1 });
function toSqs(endpoint: string): BackfillSink {
  const credentials = { accessKeyId: 'id', secretAccessKey: 'secret' };
  const client = new SQSClient({ endpoint, region: 'us-east-1', credentials, maxAttempts: 1 });
  ends.push(() => client.destroy());
  return enqueueToSqs(client, `${endpoint}/1/uploads`);
}
const send = (sink: BackfillSink, signal?: AbortSignal) => {
  const done: number[] = [];
  const sent = sink(EVENTS, { signal, onOutcome: (index) => done.push(index) });
  return { done, sent };
};

describe('a Cloudflare Queue', () => {
  it('is posted to again where it is busy or broken, after as long as it asks for', async () => {
    const answers: [number, Record<string, string>][] = [
      [200, {}],
      [429, { 'retry-after': '1' }],
      [503, {}],
      [502, { 'retry-after': new Date(0).toUTCString() }],
      [200, {}],
    ];
    const times: number[] = [];
    const endpoint = await listen((response) => {
      times.push(performance.now());
      response.writeHead(...answers.shift()!).end('{}');
    });
    const { sent, done } = send(toCloudflare(endpoint));
    await sent;
    expect(answers).toEqual([]);
    expect(done).toHaveLength(150);
    expect(times[2]! - times[1]!).toBeGreaterThan(950);
  });

  it.each([
    [400, 'NETWORK_FAILED', /answered 400 \(\{"errors":\[\{"message":"malformed"\}\]\}\); see to it/, 1],
    [403, 'INPUT_UNREADABLE', /answered 403 \(.*malformed.*check its ids and the token/, 1],
    [500, 'NETWORK_FAILED', /answered 500 \(.*malformed.*; resume later\./, 8],
  ])('that answers %i is given up as %s, with its words', async (status, code, message, posts) => {
    let count = 0;
    const endpoint = await listen((response) => {
      count++;
      response.writeHead(status).end('{"errors":[{"message":"malformed"}]}\n');
    });
    await expect(send(toCloudflare(endpoint)).sent).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
    expect(count).toBe(posts);
  });
});

it.each([
  ['a Cloudflare Queue', toCloudflare],
  ['SQS', toSqs],
])('stopped amid a post to %s, it was stopped and did not fail', async (_, to) => {
  const stop = new AbortController();
  const endpoint = await listen(() => stop.abort());
  await expect(send(to(endpoint), stop.signal).sent).rejects.toMatchObject({ code: 'ABORTED' });
});
