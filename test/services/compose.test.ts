import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  CreateBucketCommand,
  type Event,
  PutBucketNotificationConfigurationCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { createClientStore } from '@elfin/storage/aws';
import sharp from 'sharp';
import { afterEach, expect, it } from 'vitest';
import { keysUnder } from '../helpers/keys-under.ts';
import { assertRestored } from '../helpers/photos.ts';
import { bytesAt } from '../helpers/upload.ts';
import { COMPOSE, goBinary, MINIO } from './helpers/binary.ts';
import { freePort, startService } from './helpers/process.ts';
import { s3Client } from './helpers/s3.ts';

const repository = new URL('../../', import.meta.url).pathname;
const ends: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

interface ServiceModel {
  readonly command: string | readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

// Without Docker: what its images would run is run by the programs of this machine, with hosts, ports and volumes put in
// their place. Only MinIO's own client is not here; its one notification is made by the SDK.
it('the services of apps/minio/compose.yaml restore an upload, by the commands and environment that stand there', async () => {
  const { stdout } = await promisify(execFile)(await goBinary(COMPOSE), ['--format', 'json', 'compose.yaml'], {
    cwd: join(repository, 'apps/minio'),
  });
  const { services } = JSON.parse(stdout) as { services: Record<'minio' | 'bucket' | 'elfin', ServiceModel> };
  const folder = await mkdtemp(join(tmpdir(), 'elfin-compose-'));
  ends.push(() => rm(folder, { recursive: true, force: true }));
  for (const volume of ['data', 'queue', 'journal']) await mkdir(join(folder, volume));
  const [store, hook] = [await freePort(), await freePort()];
  const here = (text: string) =>
    text
      .replace('http://minio:9000', `http://127.0.0.1:${store}`)
      .replace('http://elfin:8099', `http://127.0.0.1:${hook}`)
      .replace('--host 0.0.0.0 --port 8099', `--host 127.0.0.1 --port ${hook}`)
      .replace(/(?<=^| )\/(data|queue|journal)\b/g, (_, volume) => join(folder, volume));
  const start = async (
    model: ServiceModel,
    program: string,
    more: readonly string[],
    ready: () => Promise<boolean>,
  ) => {
    const env = Object.fromEntries(Object.entries(model.environment).map(([name, value]) => [name, here(value)]));
    const words = here([model.command].flat().join(' ')).split(' ');
    if (words[0] === program) words.shift();
    const service = await startService(program, [...words, ...more], {
      cwd: repository,
      env,
      ready,
      timeoutMs: 90_000,
    });
    ends.push(() => service.stop());
  };
  const answers = (url: string) => async () => (await fetch(url)).status === 200;
  const endpoint = `http://127.0.0.1:${store}`;

  const address = ['--address', `127.0.0.1:${store}`];
  await start(services.minio, await goBinary(MINIO), address, answers(`${endpoint}/minio/health/ready`));

  const { MINIO_ROOT_USER: accessKeyId = '', MINIO_ROOT_PASSWORD: secretAccessKey = '' } = services.bucket.environment;
  const client = s3Client(endpoint, { accessKeyId, secretAccessKey });
  ends.push(() => client.destroy());
  const script = [services.bucket.command].flat().join('\n');
  const [, event, prefix, bucket, arn] =
    /mc event add --ignore-existing --event (\S+) --prefix (\S+) here\/(\S+) (\S+)/.exec(script) ?? [];
  expect([event, script.includes(`mc mb --ignore-existing here/${bucket}\n`)]).toEqual(['put', true]);
  await client.send(new CreateBucketCommand({ Bucket: bucket }));
  const Filter = { Key: { FilterRules: [{ Name: 'prefix' as const, Value: prefix }] } };
  const QueueConfigurations = [{ QueueArn: arn, Events: ['s3:ObjectCreated:*' as Event], Filter }];
  await client.send(
    new PutBucketNotificationConfigurationCommand({
      Bucket: bucket,
      NotificationConfiguration: { QueueConfigurations },
    }),
  );

  // Uploaded before elfin listens: MinIO keeps the event in its queue.
  const photo = await readFile(join(repository, 'packages/cli/assets/rainy.jpg'));
  const upload = { Bucket: bucket, Key: `${prefix}photo.jpg`, Body: photo, ContentType: 'image/jpeg' };
  await client.send(new PutObjectCommand(upload));
  await start(services.elfin, 'node', [], answers(`http://127.0.0.1:${hook}/healthz`));
  await client.send(new PutObjectCommand({ ...upload, Key: `${prefix}again.jpg` }));

  const stored = createClientStore({ client, bucket: bucket ?? '' });
  await expect.poll(() => keysUnder(stored, 'restored/'), { timeout: 120_000, interval: 500 }).toHaveLength(2);
  const { width, height } = await sharp(photo).metadata();
  for (const key of await keysUnder(stored, 'restored/')) {
    await assertRestored(await bytesAt(stored, key), key, photo, { width, height });
  }
});
