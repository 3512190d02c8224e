import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { S3Client } from '@aws-sdk/client-s3';
import { asS3Notification } from '@elfin/plugins/sqs';
import { createClientStore } from '@elfin/storage/aws';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { elfin } from '../helpers/cli.ts';
import { type ElfinProcess, startElfin } from '../helpers/elfin-process.ts';
import { keysUnder } from '../helpers/keys-under.ts';
import { assertRestored, smallPhoto } from '../helpers/photos.ts';
import { startS3 } from '../helpers/s3-server.ts';
import { bytesAt } from '../helpers/upload.ts';

const SECRET = 'a-shared-secret-of-this-test';
const env = {
  AWS_ACCESS_KEY_ID: 'id',
  AWS_SECRET_ACCESS_KEY: 'secret',
  AWS_REGION: 'us-east-1',
  ELFIN_WEBHOOK_SECRET: SECRET,
};

let s3: Awaited<ReturnType<typeof startS3>>;
let client: S3Client;
let folder: string;
let watch: ElfinProcess | undefined;
/** Whether the bucket of the uploads can only be read. */
let sealed = false;

beforeAll(async () => {
  s3 = await startS3({
    byBucket: true,
    fault: (method, _, bucket) => (sealed && bucket === 'photos' && /PUT|DELETE/.test(method) ? 403 : undefined),
  });
  const credentials = { accessKeyId: 'id', secretAccessKey: 'secret' };
  client = new S3Client({ endpoint: s3.endpoint, region: 'us-east-1', credentials, forcePathStyle: true });
});
afterAll(async () => {
  client.destroy();
  await s3.close();
});
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'elfin-watch-'));
});
afterEach(async () => {
  await watch?.stop('SIGKILL');
  watch = undefined;
  sealed = false;
  s3.objects.clear();
  await rm(folder, { recursive: true });
});

const storeOf = (bucket: string) => createClientStore({ client, bucket });
const words = (verb: string, ...more: string[]) => [verb, 's3://photos/incoming/', '--endpoint', s3.endpoint, ...more];

async function uploadPhoto(index: number, key: string): Promise<Buffer> {
  const bytes = await smallPhoto(index, key);
  await storeOf('photos').put(key, bytes, { type: 'image/jpeg', metadata: { camera: 'test' } });
  return bytes;
}

async function rulesFile(rule: object): Promise<string> {
  const path = join(folder, 'rules.json');
  await writeFile(path, JSON.stringify([rule]));
  return path;
}

const ELSEWHERE = {
  bucket: 'photos',
  prefix: 'incoming/',
  task: 'derain',
  destinationBucket: 'results',
  alias: 'latest/{key}',
};

describe('elfin watch', () => {
  test('writes to another bucket, and needs no more than to read the one of the uploads', async () => {
    const [told, untold] = ['incoming/ü +1.jpg', 'incoming/2.png'];
    const sources = new Map([
      [told, await uploadPhoto(1, told)],
      [untold, await uploadPhoto(2, untold)],
    ]);
    await storeOf('photos').put('incoming/broken.jpg', new TextEncoder().encode('no photo'));
    sealed = true;
    const journal = join(folder, 'journal');
    const rules = await rulesFile(ELSEWHERE);
    watch = await startElfin(words('watch', '--rules', rules, '--port', '0', '--journal', journal), env);
    const tell = async (key: string) => {
      const body = asS3Notification({ kind: 'created', name: 'x', source: 'x', bucket: 'photos', key });
      const answer = await fetch(watch!.url, { method: 'POST', body, headers: { authorization: `Bearer ${SECRET}` } });
      expect(answer.status).toBe(202);
    };
    const results = () => keysUnder(storeOf('results'), 'restored/');
    for (const key of [told, told, 'incoming/broken.jpg']) await tell(key);
    await expect.poll(async () => readdir(join(journal, 'pending')), { timeout: 30_000 }).toEqual([]);
    expect(await results()).toEqual([expect.stringMatching(/^restored\/incoming\/ü \+1\.jpg\/[0-9a-f]{8}\.jpg$/)]);
    expect(await watch.stop()).toBe(0);

    // What nobody told of is made up for by the list.
    watch = await startElfin(
      words('watch', '--rules', rules, '--port', '0', '--journal', journal, '--reconcile', '0'),
      env,
    );
    await expect.poll(async () => (await results()).length, { timeout: 30_000 }).toBe(2);
    await expect.poll(() => keysUnder(storeOf('results'), 'latest/')).toHaveLength(2);
    expect(await watch.stop()).toBe(0);

    for (const [key, source] of sources) {
      const made = (await results()).find((name) => name.startsWith(`restored/${key}/`)) ?? '';
      for (const place of [made, `latest/${key}`]) {
        await assertRestored(await bytesAt(storeOf('results'), place), key, source);
      }
      expect(await storeOf('results').head(made)).toMatchObject({ metadata: { camera: 'test' } });
    }
    expect(await keysUnder(storeOf('results'), '.elfin/quarantine/')).toHaveLength(1);
    expect(await keysUnder(storeOf('results'), '.elfin/claims/')).toEqual(['.elfin/claims/keep.json']);
    expect(await keysUnder(storeOf('photos'), '')).toEqual([untold, 'incoming/broken.jpg', told]);
    expect(await readdir(join(journal, 'dead'))).toEqual([]);

    // A backfill by the same rules finds everything done.
    const again = await elfin(words('backfill', '--rules', rules, '--json'), { env });
    expect(again.code).toBe(0);
    expect(JSON.parse(again.stdout.toString())).toMatchObject({ listed: 3, outcomes: { done: 2, quarantined: 1 } });
    for (const key of s3.objects.keys()) if (key.startsWith('results/')) s3.objects.delete(key);
    const afresh = await elfin(words('backfill', '--rules', rules, '--json'), { env });
    expect(JSON.parse(afresh.stdout.toString())).toMatchObject({ outcomes: { restored: 2, quarantined: 1 } });
    expect(await results()).toHaveLength(2);
  });

  test.each([
    [{}, ['--task', 'derain'], /Set ELFIN_WEBHOOK_SECRET/],
    [{ ELFIN_WEBHOOK_SECRET: 'short' }, ['--task', 'derain'], /secret of at least 16/],
    [
      { ELFIN_WEBHOOK_SECRET: SECRET },
      ['--task', 'derain', '--reconcile', 'often'],
      /--reconcile must be a number from 0 to/,
    ],
    [
      { ELFIN_WEBHOOK_SECRET: SECRET },
      ['--task', 'derain', '--reconcile', ''],
      /--reconcile must be a number from 0 to/,
    ],
    [{ ELFIN_WEBHOOK_SECRET: SECRET }, ['--task', 'derain', '--port', '70000'], /--port is 0…65535/],
  ] as const)('refuses %j %j', async (more, argv, reason) => {
    const { ELFIN_WEBHOOK_SECRET: _, ...rest } = env;
    const { code, stderr } = await elfin(words('watch', '--journal', join(folder, 'j'), ...argv), {
      env: { ...rest, ...more },
    });
    expect(code).toBe(2);
    expect(stderr).toMatch(/^elfin: [^\n]+\n$/);
    expect(stderr).toMatch(reason);
  });

  test('says so where its port is taken', async () => {
    const { port } = new URL(s3.endpoint);
    const { code, stderr } = await elfin(words('watch', '--task', 'derain', '--port', port, '--journal', folder), {
      env,
    });
    expect([code, stderr]).toEqual([2, expect.stringMatching(/^elfin: Cannot listen on [^\n]+\[CONFIG_INVALID\]\n$/)]);
  });

  test('refuses rules whose results would come back as uploads, by way of the other bucket too', async () => {
    const rules = await rulesFile({ prefix: '', task: 'derain', destinationBucket: 'results' });
    const { code, stderr } = await elfin(words('watch', '--rules', rules), { env });
    expect([code, stderr]).toEqual([2, expect.stringMatching(/^elfin: [^\n]*could loop[^\n]*\n$/)]);
  });
});
