import { readFile } from 'node:fs/promises';
import { S3Client } from '@aws-sdk/client-s3';
import { ElfinError } from '@elfin/core';
import { createRestorer } from '@elfin/core/node';
import { createSharpCodec } from '@elfin/core/sharp';
import { createUploadRestorer, parseRules, type RuleInput, type Storage, type UploadRestorer } from '@elfin/plugins';
import { createClientStore } from '@elfin/storage/aws';
import { usageError } from '../report/failure.ts';
import type { Device } from './device.ts';
import { bundledModels } from './models.ts';

/** Flags of the verbs that work on a bucket. */
export const BUCKET_FLAGS = {
  endpoint: {
    type: 'string',
    valueHint: 'URL',
    description: 'S3 server; Amazon’s without it (AWS_ENDPOINT_URL_S3 also works)',
  },
  rules: {
    type: 'string',
    valueHint: 'file',
    description: 'JSON array of rules, see docs/plugins.md; instead of --task',
  },
  task: {
    type: 'string',
    valueHint: 'derain|lowlight|underwater|auto',
    description: 'One rule: everything under the prefix',
  },
} as const;

/** `s3://bucket/prefix` in its parts. Errors: OPTION_INVALID. */
export function parseBucketUrl(text: string | undefined): { readonly bucket: string; readonly prefix: string } {
  const [, bucket, prefix = ''] = /^s3:\/\/([^/]+)(?:\/(.*))?$/s.exec(text ?? '') ?? [];
  if (bucket === undefined) throw usageError(`Give a bucket as s3://bucket/prefix, not "${text ?? 'nothing'}".`);
  return { bucket, prefix };
}

/**
 * A client by the usual AWS environment and files; servers at an endpoint of their own are spoken to by path.
 * Errors: CONFIG_INVALID where neither an endpoint nor a region is known.
 */
export async function s3Client(endpoint: string | undefined): Promise<S3Client> {
  const own = endpoint ?? (process.env.AWS_ENDPOINT_URL_S3 || undefined);
  const client = new S3Client({
    ...(own !== undefined && { endpoint: own, forcePathStyle: true, region: process.env.AWS_REGION || 'us-east-1' }),
  });
  await client.config.region().catch((cause: Error) => {
    const message = `No region is known (${cause.message}): set AWS_REGION, or name the S3 server with --endpoint.`;
    throw new ElfinError('CONFIG_INVALID', message, { cause });
  });
  return client;
}

/** The stores of a bucket and of those that rules write to; no other bucket is touched. */
export function bucketStorage(client: S3Client, bucket: string, rules: readonly RuleInput[]): Storage {
  const names = [bucket, ...rules.flatMap(({ destinationBucket }) => destinationBucket ?? [])];
  const stores = new Map(names.map((name) => [name, createClientStore({ client, bucket: name })]));
  return (name) => stores.get(name);
}

/** The store of any bucket that is asked for: which may be used is the credentials' to say. */
export function everyBucket(client: S3Client): Storage {
  const stores = new Map<string, ReturnType<typeof createClientStore>>();
  return (bucket) => {
    const store = stores.get(bucket) ?? createClientStore({ client, bucket });
    stores.set(bucket, store);
    return store;
  };
}

/** Rules out of a file, or one rule out of --task and the prefix. Errors: OPTION_INVALID, CONFIG_INVALID, INPUT_UNREADABLE. */
export async function rulesFrom(
  { rules, task }: { readonly rules?: string | undefined; readonly task?: string | undefined },
  { bucket, prefix }: { readonly bucket: string; readonly prefix: string },
): Promise<readonly RuleInput[]> {
  if ((rules === undefined) === (task === undefined)) throw usageError('Give either --rules or --task.');
  const read = rules === undefined ? [{ bucket, prefix, task }] : await readJson(rules);
  parseRules(read);
  return read as readonly RuleInput[];
}

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as unknown;
  } catch (error) {
    throw usageError(`${path} cannot be read as JSON: ${(error as Error).message}.`);
  }
}

/** The bundled models on a device, encoded image in and out. */
export function uploadRestorer(device: Device): { readonly restorer: UploadRestorer; dispose(): Promise<void> } {
  const models = bundledModels();
  const codec = createSharpCodec();
  const restorer = createRestorer({ models, codec, runtime: device.runtime });
  return { restorer: createUploadRestorer({ restorer, codec, models }), dispose: () => restorer.dispose() };
}
