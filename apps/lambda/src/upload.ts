import { S3Client } from '@aws-sdk/client-s3';
import { createNodeRuntime, createRestorer } from '@elfin/core/node';
import { createSharpCodec } from '@elfin/core/sharp';
import { createModels } from '@elfin/models/node';
import { createTrigger, createUploadRestorer, notifierFor, rulesFromJson } from '@elfin/plugins';
import { createLambdaHandler } from '@elfin/plugins/lambda';
import type { ObjectStore } from '@elfin/storage';
import { createClientStore } from '@elfin/storage/aws';

// Everything here happens once a sandbox; a configuration that is not valid fails its start, where Lambda shows it.
const { ELFIN_RULES, ELFIN_NOTIFY_URL, ELFIN_NOTIFY_SECRET, ELFIN_MEMORY_MB = '512' } = process.env;
const notify = notifierFor(ELFIN_NOTIFY_URL, ELFIN_NOTIFY_SECRET);

const models = createModels();
const codec = createSharpCodec();
// The network runs in this thread: the bundle is one file, and a sandbox has nothing else to do meanwhile.
const runtime = createNodeRuntime({ device: 'cpu', thread: false });
const restorer = createRestorer({ models, codec, runtime });

const client = new S3Client({});
const stores = new Map<string, ObjectStore>();
function storage(bucket: string): ObjectStore {
  const store = stores.get(bucket) ?? createClientStore({ client, bucket });
  stores.set(bucket, store);
  return store;
}

const trigger = createTrigger({
  rules: rulesFromJson(ELFIN_RULES, 'ELFIN_RULES'),
  // Which buckets may be used is the role's to say.
  storage,
  restorer: createUploadRestorer({ restorer, codec, models }),
  memory: Number(ELFIN_MEMORY_MB) * 1024 * 1024,
  ...(notify && { notify }),
});

export const handler = createLambdaHandler(trigger);
