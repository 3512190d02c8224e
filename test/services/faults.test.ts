import { createTrigger } from '@elfin/plugins';
import { createS3Store, type ObjectStore, readAll } from '@elfin/storage';
import { createNodeSend } from '@elfin/storage/node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cheapRestorer, upload } from '../helpers/upload.ts';
import { type Asked, FAULTS, type Fault, startFaultyProxy } from './helpers/faulty-proxy.ts';
import { type S3Server, startMinio, startVersitygw } from './helpers/s3.ts';

const TIMEOUTS = { firstByteMs: 500, idleMs: 500 };
/** What a try may take by these limits, with a loaded machine's slack. */
const TRY_MS = 3000;
const BODY_FAULTS: ReadonlySet<Fault> = new Set([
  'hang in mid-body',
  'reset in mid-body',
  'half a body',
  'wrong bytes',
  'slow drip',
]);
const CLAIM_MS = 3000;
const bytes = new TextEncoder().encode('a photo of some length, for its bytes to come in halves '.repeat(20));

const OPERATIONS: Readonly<
  Record<string, { asked(asked: Asked): boolean; run(store: ObjectStore): Promise<unknown> }>
> = {
  get: {
    asked: ({ method, url }) => method === 'GET' && url.includes('/fixed'),
    async run(store) {
      const found = await store.get('fixed');
      return (await readAll((found as { body: ReadableStream<Uint8Array> }).body)).length;
    },
  },
  head: {
    asked: ({ method, url }) => /HEAD|GET/.test(method) && url.includes('/fixed'),
    run: async (store) => (await store.head('fixed'))?.size,
  },
  put: { asked: ({ method }) => method === 'PUT', run: async (store) => typeof (await store.put('put', bytes)) },
  'conditional put': {
    asked: ({ method, conditional }) => method === 'PUT' && conditional,
    run: async (store) => typeof (await store.put(`new-${crypto.randomUUID()}`, bytes, { ifAbsent: true })),
  },
  list: {
    asked: ({ method, url }) => method === 'GET' && url.includes('list-type=2'),
    run: async (store) => (await store.list('fixed')).objects.length,
  },
};
const WELL: Readonly<Record<string, unknown>> = {
  get: bytes.length,
  head: bytes.length,
  put: 'object',
  'conditional put': 'object',
  list: 1,
};
/** What each fault is, once three tries have met it. */
const CODES: Partial<Record<Fault, string>> = {
  'expired credentials': 'CREDENTIALS_EXPIRED',
  denied: 'INPUT_UNREADABLE',
};

describe.each([
  ['versitygw', startVersitygw],
  ['MinIO', startMinio],
] as const)('%s behind a proxy that spoils requests', (name, start) => {
  let server: S3Server;
  let proxy: Awaited<ReturnType<typeof startFaultyProxy>>;
  let store: ObjectStore;
  const table: string[] = [];
  beforeAll(async () => {
    server = await start();
    proxy = await startFaultyProxy(server.endpoint);
    const { AWS_ACCESS_KEY_ID: accessKeyId = '', AWS_SECRET_ACCESS_KEY: secretAccessKey = '' } = server.env;
    const send = createNodeSend({ connectMs: 500 });
    const credentials = { accessKeyId, secretAccessKey };
    store = createS3Store({ endpoint: proxy.endpoint, bucket: server.bucket, credentials, timeouts: TIMEOUTS, send });
    // By the SDK, which has the store keep a checksum.
    const { PutObjectCommand } = await import('@aws-sdk/client-s3');
    await server.client.send(new PutObjectCommand({ Bucket: server.bucket, Key: 'fixed', Body: bytes }));
  });
  afterAll(async () => {
    console.info(`${name}\n${table.join('\n')}`);
    await proxy.stop();
    await server.stop();
  });

  const cases = FAULTS.flatMap((fault) =>
    Object.keys(OPERATIONS)
      .filter((operation) => !BODY_FAULTS.has(fault) || operation === 'get')
      .map((operation) => [fault, operation] as const),
  );

  it.each(cases)('%s in %s', async (fault, operation) => {
    const { asked, run } = OPERATIONS[operation]!;
    const tries = { once: 0, always: 0 };
    if (fault === 'hang at connect') await proxy.deafen(true);
    proxy.spoil((one) => {
      if (!asked(one)) return undefined;
      tries.always++;
      return fault;
    });
    const begun = performance.now();
    const error = await run(store).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    const seconds = (performance.now() - begun) / 1000;
    expect(error).toMatchObject({ code: CODES[fault] ?? 'STORE_FAILED' });
    expect(seconds).toBeLessThan((4 * TRY_MS) / 1000);

    await proxy.deafen(false);
    proxy.spoil(undefined);
    const healed = performance.now();
    expect(await run(store)).toBe(WELL[operation]);
    const healthy = (performance.now() - healed) / 1000;
    expect(healthy).toBeLessThan(TRY_MS / 1000);

    // Once only: got over, where it is no body's and no person's to mend.
    proxy.spoil((one) => (asked(one) && tries.once++ === 0 ? fault : undefined));
    const once = await run(store).then(
      (value) => (value === WELL[operation] ? 'got over' : 'wrong'),
      ({ code }: { code: string }) => code,
    );
    proxy.spoil(undefined);
    const final = BODY_FAULTS.has(fault) ? 'STORE_FAILED' : (CODES[fault] ?? 'got over');
    expect([final, 'got over']).toContain(once);
    const { code } = error as { code: string };
    table.push(
      `${fault.padEnd(20)} ${operation.padEnd(16)} ${code.padEnd(20)} ${tries.always} tries ${seconds.toFixed(1)} s, healthy after ${healthy.toFixed(1)} s, once: ${once}`,
    );
  });

  it.each(['hang at first byte', 'reset', 'half a body', 'wrong bytes', '503', 'reset in mid-body'] as const)(
    'every photo is restored once, whatever was amid a time of: %s',
    async (fault) => {
      const restorer = cheapRestorer();
      const trigger = createTrigger({
        rules: [{ prefix: 'incoming/', task: 'derain' }],
        storage: () => store,
        restorer,
        retries: { attempts: 2, baseMs: 10 },
        claims: { ttlMs: CLAIM_MS },
      });
      const place = fault.replaceAll(' ', '-');
      const keys = Array.from({ length: 12 }, (_, index) => `incoming/${place}/${index}.jpg`);
      const events = await Promise.all(keys.map((key) => upload(store, key, `photo ${key}`)));
      // A third of all requests, for two seconds.
      let count = 0;
      const end = Date.now() + 2000;
      proxy.spoil(() => (Date.now() < end && ++count % 3 === 0 ? fault : undefined));
      const deadline = Date.now() + 60_000;
      let left = events;
      while (left.length > 0 && Date.now() < deadline) {
        const outcomes = await Promise.all(left.map(async (event) => [event, await trigger.process(event)] as const));
        for (const [, outcome] of outcomes) {
          if (outcome.status === 'failed') expect(outcome.error.retry).toBe(true);
        }
        left = outcomes.flatMap(([event, { status }]) => (status === 'failed' ? [event] : []));
        if (left.length > 0) await new Promise((resolve) => setTimeout(resolve, 200));
      }
      proxy.spoil(undefined);
      expect(left).toEqual([]);
      const made = await Promise.all(keys.map(async (key) => (await store.list(`restored/${key}/`)).objects.length));
      expect(made).toEqual(keys.map(() => 1));
      // A claim that could not be given back holds nobody off for longer than it lasts.
      const claims = (await store.list('.elfin/claims/')).objects.filter(({ key }) => !key.endsWith('/keep.json'));
      const now = Date.now();
      for (const { key } of claims) {
        const found = (await store.get(key)) as { body: ReadableStream<Uint8Array> };
        const { expiresAt } = JSON.parse(new TextDecoder().decode(await readAll(found.body))) as { expiresAt: number };
        expect(expiresAt).toBeLessThan(now + CLAIM_MS);
      }
      expect(claims.length).toBeLessThanOrEqual(keys.length);
    },
  );
});
