import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ElfinError } from '@elfin/core';
import { createMemoryStore } from '@elfin/storage';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cheapRestorer, upload } from '../../../../test/helpers/upload.ts';
import { cursorFile } from '../entries/node.ts';
import { asS3Notification } from '../entries/sqs.ts';
import { backfill, createTrigger, enqueueToCloudflareQueue, parseEnvelope, parseRules, restoreHere } from '../index.ts';
import { asR2Notification } from './enqueue-cloudflare.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'elfin-backfill-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function setUp(count: number, poison: readonly number[] = []) {
  const store = createMemoryStore();
  for (let i = 0; i < count; i++) {
    await upload(store, `incoming/${String(i).padStart(5, '0')}.jpg`, poison.includes(i) ? `WEAK ${i}` : `photo ${i}`);
  }
  await upload(store, 'incoming/readme.txt', 'not a photo');
  await upload(store, 'elsewhere/a.jpg', 'not ours');
  const restorer = cheapRestorer();
  const trigger = createTrigger({
    rules: [{ prefix: 'incoming/', task: 'derain' }],
    storage: () => store,
    restorer,
    retries: { attempts: 1 },
  });
  const results = () => store.keys().filter((key) => key.startsWith('restored/')).length;
  return { store, trigger, restorer, results, common: { bucket: 'photos', store, rules: trigger.rules } };
}

describe('backfill', () => {
  it('restores what is there, page by page, and finds it done the next time', async () => {
    const { trigger, results, common, restorer } = await setUp(1500);
    const pages: number[] = [];
    const first = await backfill({
      ...common,
      sink: restoreHere(trigger),
      onProgress: ({ listed }) => pages.push(listed),
    });
    expect(first).toMatchObject({ sent: 1500, outcomes: { restored: 1500 }, failed: [] });
    expect(results()).toBe(1500);
    expect(pages.length).toBeGreaterThan(1);
    const second = await backfill({ ...common, prefix: 'incoming/', sink: restoreHere(trigger) });
    expect(second).toMatchObject({ listed: 1501, outcomes: { done: 1500 } });
    expect(restorer.calls()).toBe(1500);
  });

  it('goes on where it was stopped, and tries again what failed', async () => {
    const { trigger, results, common } = await setUp(1200, [3, 1100]);
    const cursor = cursorFile(join(folder, 'cursor.json'));
    const stop = new AbortController();
    const sink = restoreHere(trigger);
    const stopped = backfill({
      ...common,
      prefix: 'incoming/',
      sink,
      cursor,
      signal: stop.signal,
      saveEveryMs: 20,
      onProgress: ({ sent }) => sent >= 1000 && stop.abort(),
    });
    await expect(stopped).rejects.toMatchObject({ code: 'ABORTED' });
    expect(await cursor.load()).toMatchObject({ complete: false, failed: ['incoming/00003.jpg'] });
    const rest = await backfill({ ...common, prefix: 'incoming/', sink, cursor });
    // What was in hand when it was stopped comes again; nothing that was settled does.
    expect(rest.sent).toBeGreaterThanOrEqual(201);
    expect(rest.sent).toBeLessThanOrEqual(201 + 8);
    expect(rest.listed).toBe(rest.sent);
    expect(rest.failed).toEqual(['incoming/00003.jpg', 'incoming/01100.jpg']);
    const third = await backfill({ ...common, prefix: 'incoming/', sink, cursor });
    expect(third.failed).toEqual(['incoming/01100.jpg']);
    const last = await backfill({ ...common, prefix: 'incoming/', sink, cursor });
    expect(last.failed).toEqual([]);
    expect(results()).toBe(1200);
  });

  it('filters, and refuses the cursor of another bucket', async () => {
    const { trigger, common } = await setUp(20);
    const cursor = cursorFile(join(folder, 'cursor.json'));
    const report = await backfill({
      ...common,
      sink: restoreHere(trigger),
      cursor,
      filter: ({ key }) => key.endsWith('7.jpg'),
    });
    expect(report.sent).toBe(2);
    const other = backfill({ ...common, bucket: 'other', sink: restoreHere(trigger), cursor });
    await expect(other).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    await writeFile(join(folder, 'broken.json'), '{');
    const broken = backfill({ ...common, sink: restoreHere(trigger), cursor: cursorFile(join(folder, 'broken.json')) });
    await expect(broken).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  it('does not go on from the cursor of other rules or another purpose, which would skip objects', async () => {
    const { trigger, common } = await setUp(20, [3]);
    const path = join(folder, 'cursor.json');
    const cursor = cursorFile(path);
    const run = (more: object = {}) =>
      backfill({ ...common, sink: restoreHere(trigger), cursor, purpose: 'since May', ...more });
    expect((await run()).failed).toHaveLength(1);
    const others = { rules: parseRules([{ prefix: 'incoming/', task: 'lowlight' }]) };
    await expect(run(others)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    await expect(run({ purpose: 'since June' })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    // Written before cursors knew whose they are.
    const { digest, ...old } = (await cursor.load())!;
    expect(digest).toMatch(/^[0-9a-f]{64}$/);
    await writeFile(path, JSON.stringify(old));
    await expect(run()).rejects.toThrow(/older elfin.*remove it/);
    await writeFile(path, JSON.stringify({ ...old, digest }));
    await run();
    expect((await run()).failed).toEqual([]);
    // One that came to its end without a failure keeps nobody from anything.
    expect(await run(others)).toMatchObject({ sent: 20 });
  });

  it('stops when everything fails', async () => {
    const { common } = await setUp(1500);
    const failing = backfill({
      ...common,
      sink: async (events, { onOutcome }) => {
        const error = new ElfinError('STORE_FAILED', 'No.');
        for (const index of events.keys()) onOutcome(index, { status: 'failed', error });
      },
    });
    await expect(failing).rejects.toMatchObject({ code: 'STORE_FAILED' });
  });

  it('hands over to a Cloudflare Queue by its API, a hundred at once', async () => {
    const { common } = await setUp(250);
    const seen: { url: string; auth: string | undefined; count: number; first: unknown }[] = [];
    const api = createServer(async (request, response) => {
      let text = '';
      for await (const chunk of request) text += chunk;
      const { messages } = JSON.parse(text);
      seen.push({
        url: request.url!,
        auth: request.headers.authorization,
        count: messages.length,
        first: messages[0].body,
      });
      response.writeHead(seen.length > 3 ? 403 : 200).end('{}');
    });
    await new Promise<void>((resolve) => api.listen(0, '127.0.0.1', resolve));
    const endpoint = `http://127.0.0.1:${(api.address() as AddressInfo).port}`;
    const sink = enqueueToCloudflareQueue({ accountId: 'acc', queueId: 'q', token: 'secret', endpoint });
    expect(await backfill({ ...common, sink })).toMatchObject({ outcomes: { enqueued: 250 } });
    expect(seen.map(({ count }) => count)).toEqual([100, 100, 50]);
    expect(seen[0]).toMatchObject({ url: '/accounts/acc/queues/q/messages/batch', auth: 'Bearer secret' });
    expect(parseEnvelope(seen[0]!.first)).toMatchObject([{ event: { kind: 'created', key: 'incoming/00000.jpg' } }]);
    await expect(backfill({ ...common, sink })).rejects.toMatchObject({ code: 'INPUT_UNREADABLE' });
    api.close();
  });

  it('writes what the parsers read: awkward keys survive both queues', () => {
    for (const key of ['a b+c%2F/ü 写.jpg', "q?a&b=c#d'e(1)*!.jpg"]) {
      const event = {
        kind: 'created',
        name: 'x',
        source: 'x',
        bucket: 'photos',
        key,
        size: 7,
        etag: 'abc',
        time: 0,
      } as const;
      for (const envelope of [JSON.parse(asS3Notification(event)), asR2Notification(event)]) {
        expect(parseEnvelope(envelope)).toMatchObject([
          { event: { bucket: 'photos', key, size: 7, etag: 'abc', time: 0 } },
        ]);
      }
    }
  });
});
