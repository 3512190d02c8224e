import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CreateBucketCommand, S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { goBinary, MINIO, VERSITYGW } from './binary.ts';
import { freePort, type Service, startService } from './process.ts';

const ACCESS = 'elfin-test';
const SECRET = 'elfin-test-secret';
/** A user who may do only what a bucket's policy allows. */
export const GUEST = { accessKeyId: 'guest', secretAccessKey: 'guest-secret' };

/** A running S3 server of its own, with one bucket `photos`. */
export interface S3Server {
  readonly endpoint: string;
  readonly client: S3Client;
  readonly bucket: string;
  readonly pid: number;
  readonly env: Record<string, string>;
  stop(): Promise<void>;
}

const listening = (url: string) => async () => (await fetch(url)).status > 0;

export function s3Client(
  endpoint: string,
  credentials: NonNullable<S3ClientConfig['credentials']> = { accessKeyId: ACCESS, secretAccessKey: SECRET },
): S3Client {
  return new S3Client({ endpoint, region: 'us-east-1', credentials, forcePathStyle: true, maxAttempts: 2 });
}

const clientEnv = (endpoint: string) => ({
  AWS_ENDPOINT_URL_S3: endpoint,
  AWS_REGION: 'us-east-1',
  AWS_ACCESS_KEY_ID: ACCESS,
  AWS_SECRET_ACCESS_KEY: SECRET,
});

const serverOf = (endpoint: string, client: S3Client, service: Service, folder: string): S3Server => ({
  endpoint,
  client,
  bucket: 'photos',
  pid: service.child.pid!,
  env: clientEnv(endpoint),
  async stop() {
    client.destroy();
    await service.stop();
    await rm(folder, { recursive: true, force: true });
  },
});

/** versitygw over a folder, with a guest where asked for. `webhook` must be listening already: versitygw tries it while it starts. */
export async function startVersitygw(options: { webhook?: string; guest?: boolean } = {}): Promise<S3Server> {
  const folder = await mkdtemp(join(tmpdir(), 'elfin-versitygw-'));
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  await mkdir(join(folder, 'data'));
  await mkdir(join(folder, 'users'));
  const program = await goBinary(VERSITYGW);
  const service = await startService(
    program,
    [
      ...(options.guest ? ['--iam-dir', join(folder, 'users')] : []),
      ...['--port', `127.0.0.1:${port}`, '--access', ACCESS, '--secret', SECRET, '--quiet', '--keep-alive'],
      ...(options.webhook ? ['--event-webhook-url', options.webhook] : []),
      ...['posix', join(folder, 'data')],
    ],
    { ready: listening(endpoint) },
  );
  if (options.guest) {
    const root = ['--access', ACCESS, '--secret', SECRET, '--endpoint-url', endpoint];
    const user = ['--access', GUEST.accessKeyId, '--secret', GUEST.secretAccessKey, '--role', 'user'];
    await promisify(execFile)(program, ['admin', ...root, 'create-user', ...user]);
  }
  const client = s3Client(endpoint);
  await client.send(new CreateBucketCommand({ Bucket: 'photos' }));
  return serverOf(endpoint, client, service, folder);
}

/** MinIO over a folder, its bucket notifying `webhook` of every created object. */
export async function startMinio(options: { webhook?: string; token?: string } = {}): Promise<S3Server> {
  const folder = await mkdtemp(join(tmpdir(), 'elfin-minio-'));
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  await mkdir(join(folder, 'queue'));
  const service = await startService(
    await goBinary(MINIO),
    ['server', '--quiet', '--address', `127.0.0.1:${port}`, join(folder, 'data')],
    {
      env: {
        MINIO_ROOT_USER: ACCESS,
        MINIO_ROOT_PASSWORD: SECRET,
        MINIO_BROWSER: 'off',
        ...(options.webhook && {
          MINIO_NOTIFY_WEBHOOK_ENABLE_hook: 'on',
          MINIO_NOTIFY_WEBHOOK_ENDPOINT_hook: options.webhook,
          MINIO_NOTIFY_WEBHOOK_QUEUE_DIR_hook: join(folder, 'queue'),
          ...(options.token && { MINIO_NOTIFY_WEBHOOK_AUTH_TOKEN_hook: options.token }),
        }),
      },
      ready: async () => (await fetch(`${endpoint}/minio/health/ready`)).status === 200,
      timeoutMs: 60_000,
    },
  );
  const client = s3Client(endpoint);
  await client.send(new CreateBucketCommand({ Bucket: 'photos' }));
  if (options.webhook) {
    const { PutBucketNotificationConfigurationCommand } = await import('@aws-sdk/client-s3');
    await client.send(
      new PutBucketNotificationConfigurationCommand({
        Bucket: 'photos',
        NotificationConfiguration: {
          QueueConfigurations: [{ QueueArn: 'arn:minio:sqs::hook:webhook', Events: ['s3:ObjectCreated:*'] }],
        },
      }),
    );
  }
  return serverOf(endpoint, client, service, folder);
}
