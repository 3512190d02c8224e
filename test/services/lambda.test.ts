import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { asS3Notification } from '@elfin/plugins/sqs';
import { createClientStore } from '@elfin/storage/aws';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startLambda } from './helpers/lambda.ts';
import { type S3Server, startVersitygw } from './helpers/s3.ts';

let root: string;
let server: S3Server;
let lambda: Awaited<ReturnType<typeof startLambda>>;

beforeAll(async () => {
  // Outside the repository: what the package lacks cannot be found by luck.
  root = await mkdtemp(join(tmpdir(), 'elfin-lambda-'));
  const app = new URL('../../apps/lambda/', import.meta.url).pathname;
  await promisify(execFile)(process.execPath, ['--conditions=@elfin/source', 'build.ts', '--out', root], { cwd: app });
  server = await startVersitygw();
  const rules = [{ prefix: 'incoming/', task: 'derain' }];
  const env = { ...server.env, ELFIN_RULES: JSON.stringify(rules) };
  lambda = await startLambda({ root, handler: 'handler/upload.handler', env });
});
afterAll(async () => {
  await lambda?.stop();
  await server?.stop();
  await rm(root, { recursive: true, force: true });
});

const store = () => createClientStore({ client: server.client, bucket: server.bucket });
const eventOf = (key: string) =>
  JSON.parse(asS3Notification({ kind: 'created', name: 'x', source: 'x', bucket: server.bucket, key })) as {
    Records: object[];
  };
const put = (Key: string, Body: Uint8Array) =>
  server.client.send(new PutObjectCommand({ Bucket: server.bucket, Key, Body, ContentType: 'image/jpeg' }));
const results = async (key: string) => (await store().list(`restored/${key}/`)).objects;

describe('the Lambda package under aws-lambda-ric', () => {
  it('stays under the 250 MB that Lambda takes', async () => {
    const files = (await readdir(root, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
    const sizes = await Promise.all(
      files.map(async ({ parentPath, name }) => (await stat(join(parentPath, name))).size),
    );
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(250 * 1024 * 1024);
  });

  it('restores a photo with the real network, once', async () => {
    const [width, height] = [150, 100];
    const create = {
      width,
      height,
      channels: 3,
      background: '#456',
      noise: { type: 'gaussian', mean: 120, sigma: 40 },
    } as const;
    const photo = await sharp({ create }).jpeg().toBuffer();
    await put('incoming/a photo+1.jpg', photo);
    expect(await lambda.invoke(eventOf('incoming/a photo+1.jpg'))).toEqual({ result: { handled: 1 } });
    const made = await results('incoming/a photo+1.jpg');
    expect(made).toHaveLength(1);
    const found = await store().get(made[0]!.key);
    if (found === undefined || found === 'changed') throw new Error('no result');
    const bytes = new Uint8Array(
      await new Response(found.body as ReadableStream<Uint8Array<ArrayBuffer>>).arrayBuffer(),
    );
    expect(await sharp(bytes).metadata()).toMatchObject({ format: 'jpeg', width, height });
    const [before, after] = await Promise.all([photo, bytes].map((image) => sharp(image).raw().toBuffer()));
    expect(before!.equals(after!)).toBe(false);
    expect(await lambda.invoke(eventOf('incoming/a photo+1.jpg'))).toEqual({ result: { handled: 1 } });
    expect(await results('incoming/a photo+1.jpg')).toEqual(made);
  });

  it('quarantines what is no image, and answers SQS message by message', async () => {
    await put('incoming/no image.jpg', Buffer.from('this is no image'));
    const record = (messageId: string, body: string) => ({ messageId, body, eventSource: 'aws:sqs' });
    const event = {
      Records: [record('m1', JSON.stringify(eventOf('incoming/no image.jpg'))), record('m2', '{"what":"is this"}')],
    };
    expect(await lambda.invoke(event)).toEqual({ result: { batchItemFailures: [{ itemIdentifier: 'm2' }] } });
    const quarantined = (await store().list('.elfin/quarantine/')).objects;
    expect(quarantined).toHaveLength(1);
  });

  it('throws what Lambda is to deliver again, by name', async () => {
    const answer = await lambda.invoke({ what: 'is this' });
    expect(answer).toMatchObject({ error: { errorMessage: expect.stringContaining('$') } });
  });
});
