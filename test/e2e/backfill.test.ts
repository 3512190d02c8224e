import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { S3Client } from '@aws-sdk/client-s3';
import { parseEnvelope } from '@elfin/plugins';
import { createClientStore } from '@elfin/storage/aws';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { elfin, MAIN } from '../helpers/cli.ts';
import { keysUnder } from '../helpers/keys-under.ts';
import { assertRestored, smallPhoto } from '../helpers/photos.ts';
import { startS3 } from '../helpers/s3-server.ts';
import { bytesAt } from '../helpers/upload.ts';

let s3: Awaited<ReturnType<typeof startS3>>;
let client: S3Client;
let folder: string;
const env = { AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: 'secret', AWS_REGION: 'us-east-1' };

beforeAll(async () => {
  s3 = await startS3();
  const credentials = { accessKeyId: 'id', secretAccessKey: 'secret' };
  client = new S3Client({ endpoint: s3.endpoint, region: 'us-east-1', credentials, forcePathStyle: true });
  folder = await mkdtemp(join(tmpdir(), 'elfin-backfill-'));
});
afterAll(async () => {
  client.destroy();
  await s3.close();
  await rm(folder, { recursive: true });
});
beforeEach(() => s3.objects.clear());

const store = () => createClientStore({ client, bucket: 'photos' });
const results = () => keysUnder(store(), 'restored/');
const words = (...more: string[]) => ['backfill', 's3://photos/incoming/', '--endpoint', s3.endpoint, ...more];

async function fill(count: number) {
  const sources = new Map<string, Buffer>();
  for (let index = 0; index < count; index++) {
    const key = `incoming/ü +${String(index).padStart(3, '0')}.${['jpg', 'png', 'webp'][index % 3]}`;
    const bytes = await smallPhoto(index, key);
    sources.set(key, bytes);
    await store().put(key, bytes, { type: 'image/jpeg', metadata: { camera: 'test' } });
  }
  return sources;
}

async function check(sources: ReadonlyMap<string, Buffer>) {
  const all = await results();
  expect(all).toHaveLength(sources.size);
  for (const [key, source] of sources) {
    const [mine, ...others] = all.filter((result) => result.startsWith(`restored/${key}/`));
    expect([key, others]).toEqual([key, []]);
    await assertRestored(await bytesAt(store(), mine ?? ''), key, source);
  }
  expect(await keysUnder(store(), '.elfin/claims/')).toEqual(['.elfin/claims/keep.json']);
}

describe('elfin backfill', () => {
  test('goes on from its cursor after kill -9, and finds everything done the third time', async () => {
    const sources = await fill(40);
    const cursor = join(folder, 'cursor.json');
    const child = spawn(
      process.execPath,
      ['--conditions=@elfin/source', MAIN, ...words('--task', 'derain', '--cursor', cursor)],
      { env: { ...process.env, ...env }, stdio: 'ignore' },
    );
    const gone = once(child, 'exit');
    // A cursor is written before the first photo in order is done, too; then it stands nowhere yet.
    const stands = async () => (await readFile(cursor, 'utf8').catch(() => '')).includes('"after"');
    for (let waited = 0; !(await stands()) && waited < 60_000; waited += 5) await sleep(5);
    child.kill('SIGKILL');
    await gone;
    const state = JSON.parse(await readFile(cursor, 'utf8'));
    expect(state).toMatchObject({ bucket: 'photos', prefix: 'incoming/', complete: false });
    const made = (await results()).length;
    expect(made).toBeGreaterThan(0);
    expect(made).toBeLessThan(40);
    // A claim of the dead is taken over once it has expired; here its clock is set forward.
    for (const [key, entry] of s3.objects)
      if (/^\.elfin\/claims\/[0-9a-f]{64}/.test(key))
        s3.objects.set(key, { ...entry, bytes: Buffer.from('{"owner":"dead","expires":0}') });

    const other = await elfin(words('--task', 'lowlight', '--cursor', cursor), { env });
    expect([other.code, other.stderr]).toEqual([
      2,
      expect.stringMatching(/^elfin: The cursor is of a run by other rules/),
    ]);
    const second = await elfin(words('--task', 'derain', '--cursor', cursor, '--json'), { env });
    expect([second.code, second.stderr]).toEqual([0, '']);
    const report = JSON.parse(second.stdout.toString());
    expect(report.listed).toBeLessThan(40);
    expect(report.outcomes.restored).toBe(40 - made);
    expect(report.failed).toEqual([]);
    await check(sources);
    expect(JSON.parse(await readFile(cursor, 'utf8'))).toMatchObject({ complete: true, failed: [] });

    const third = await elfin(words('--task', 'derain'), { env });
    expect([third.code, third.stdout.toString()]).toEqual([0, '40 listed: 40 done\n']);
  });

  test('takes what the rules and --since want, says what failed, and keeps what the rule tells it to', async () => {
    const sources = await fill(2);
    const [[key] = ['']] = sources;
    await store().put(key, sources.get(key)!, {
      type: 'image/jpeg',
      metadata: { camera: 'test' },
      tags: { project: 'α & ω', year: '2026' },
      storageClass: 'STANDARD_IA',
    });
    await store().put('incoming/note.txt', new TextEncoder().encode('no photo'), {});
    await store().put('incoming/broken.jpg', new TextEncoder().encode('no photo either'), {});
    const rules = join(folder, 'rules.json');
    const keep = ['userMetadata', 'tags', 'storageClass'];
    const rule = { prefix: 'incoming/', task: 'derain', alias: 'latest/{key}', keep, tags: { by: 'elfin' } };
    await writeFile(rules, JSON.stringify([rule]));
    const { code, stdout, stderr } = await elfin(words('--rules', rules), { env });
    expect([code, stdout.toString()]).toEqual([0, '4 listed: 1 quarantined, 2 restored\n']);
    expect(stderr).toMatch(/^elfin: incoming\/broken\.jpg: [^\n]+ \[IMAGE_UNSUPPORTED\]\n$/);
    for (const place of [
      (await results()).find((name) => name.startsWith(`restored/${key}/`)) ?? '',
      `latest/${key}`,
    ]) {
      expect(await store().tags?.(place)).toEqual({ project: 'α & ω', year: '2026', by: 'elfin' });
      expect(await store().head(place)).toMatchObject({
        type: 'image/jpeg',
        storageClass: 'STANDARD_IA',
        metadata: { camera: 'test' },
      });
    }
    const none = await elfin(words('--task', 'derain', '--since', '2099-01-01', '--json'), { env });
    expect(JSON.parse(none.stdout.toString())).toMatchObject({ listed: 4, sent: 0 });
  });

  test('fills a Cloudflare Queue with what R2 would have said', async () => {
    await fill(5);
    const bodies: unknown[] = [];
    const api = createServer(async (request, response) => {
      let text = '';
      for await (const chunk of request) text += chunk;
      const allowed =
        request.headers.authorization === 'Bearer api-token' && request.url?.includes('/accounts/a/queues/q/');
      if (allowed) bodies.push(...JSON.parse(text).messages.map(({ body }: { body: unknown }) => body));
      response.writeHead(allowed ? 200 : 403).end('{}');
    }).listen(0, '127.0.0.1');
    await once(api, 'listening');
    const more = { CLOUDFLARE_API_BASE_URL: `http://127.0.0.1:${(api.address() as AddressInfo).port}` };
    const to = words('--task', 'derain', '--to', 'cloudflare-queue://a/q');
    const done = await elfin(to, { env: { ...env, ...more, CLOUDFLARE_API_TOKEN: 'api-token' } });
    expect([done.code, done.stdout.toString()]).toEqual([0, '5 listed: 5 enqueued\n']);
    expect(bodies.flatMap((body) => parseEnvelope(body))).toMatchObject(
      [...s3.objects.keys()].sort().map((key) => ({ event: { kind: 'created', bucket: 'photos', key } })),
    );
    const denied = await elfin(to, { env: { ...env, ...more, CLOUDFLARE_API_TOKEN: 'wrong' } });
    expect([denied.code, denied.stderr]).toEqual([1, expect.stringMatching(/^elfin: [^\n]+403[^\n]+\n$/)]);
    api.close();
  });

  test('refuses a store that ignores conditions, such as s3rver, before it lists', async () => {
    const data = join(folder, 's3rver');
    const S3rver = createRequire(import.meta.url)('s3rver');
    const configureBuckets = [{ name: 'photos' }];
    const server = new S3rver({ port: 0, address: '127.0.0.1', silent: true, directory: data, configureBuckets });
    const { port } = (await server.run()) as AddressInfo;
    const place = ['backfill', 's3://photos/incoming/', '--endpoint', `http://127.0.0.1:${port}`, '--task', 'derain'];
    const keys = { AWS_ACCESS_KEY_ID: 'S3RVER', AWS_SECRET_ACCESS_KEY: 'S3RVER' };
    const { code, stderr } = await elfin(place, { env: { ...env, ...keys } });
    await server.close();
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/^elfin: The store cannot be used: [^\n]+STORE_UNSUITABLE\]\n$/),
    ]);
  });

  test('needs a region where no server is named', async () => {
    const nowhere = { ...env, AWS_REGION: '', AWS_ENDPOINT_URL_S3: '', AWS_CONFIG_FILE: '/dev/null' };
    const { code, stderr } = await elfin(['backfill', 's3://photos/incoming/', '--task', 'derain'], { env: nowhere });
    expect([code, stderr]).toEqual([
      2,
      expect.stringMatching(/^elfin: No region is known [^\n]+\[CONFIG_INVALID\]\n$/),
    ]);
  });

  test.each([
    [['backfill', 'photos'], /s3:\/\/bucket\/prefix/],
    [['backfill', 's3://photos/'], /either --rules or --task/],
    [['backfill', 's3://photos/', '--task', 'derain', '--since', 'soon'], /--since is a date/],
    [['backfill', 's3://photos/', '--task', 'derain', '--exclude'], /not a flag/],
    [['backfill', 's3://photos/', '--task', 'derain'], /could loop/],
    [['backfill', 's3://photos/in/', '--task', 'derain', '--to', 'ftp://x'], /--to is an SQS queue URL/],
  ])('refuses %j', async (argv, reason) => {
    const { code, stderr } = await elfin(argv, { env });
    expect(code).toBe(2);
    expect(stderr).toMatch(/^elfin: [^\n]+\n$/);
    expect(stderr).toMatch(reason);
  });
});
