import { S3Client } from '@aws-sdk/client-s3';
import { createNodeRuntime, createRestorer } from '@elfin/core/node';
import { createSharpCodec } from '@elfin/core/sharp';
import { createModels } from '@elfin/models/node';
import {
  createAwsNotifier,
  createSqsQueue,
  createTrigger,
  createUploadRestorer,
  emfLine,
  jsonLog,
  notifierFor,
  regionOf,
  rulesFromJson,
} from '@elfin/plugins';
import { createLambdaHandler, type LambdaContext } from '@elfin/plugins/lambda';
import type { ObjectStore } from '@elfin/storage';
import { createClientStore } from '@elfin/storage/aws';

// Everything here happens once a sandbox; a configuration that is not valid fails its start, where Lambda shows it.
const { ELFIN_RULES, ELFIN_NOTIFY_URL, ELFIN_NOTIFY_SECRET, AWS_LAMBDA_FUNCTION_NAME = 'elfin' } = process.env;
// Half of the function's memory: the other half is Node's, ONNX Runtime's and the weights'.
const { ELFIN_MEMORY_MB = String(Number(process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE ?? 1024) / 2) } = process.env;

const models = createModels();
const codec = createSharpCodec();
// The network runs in this thread: the bundle is one file, and a sandbox has nothing else to do meanwhile.
const runtime = createNodeRuntime({ device: 'cpu', thread: false });
const restorer = createRestorer({ models, codec, runtime });

const client = new S3Client({});
/** A webhook with its secret, or an SNS topic, an event bus or a queue, spoken to by the function's role. */
function notifierOf(target: string | undefined) {
  if (!target?.startsWith('arn:') && !regionOf(target ?? '')) return notifierFor(target, ELFIN_NOTIFY_SECRET);
  return createAwsNotifier({ target: target as string, credentials: () => client.config.credentials() });
}
const notify = notifierOf(ELFIN_NOTIFY_URL);

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
  notify,
  log: jsonLog((line) => console.log(line)),
});

const handle = createLambdaHandler(trigger, {
  async showAgain({ queueArn, receipt }, seconds) {
    const [, , , region, account, name] = queueArn.split(':');
    const queueUrl = `https://sqs.${region}.amazonaws.com/${account}/${name}`;
    const queue = createSqsQueue({ queueUrl, credentials: () => client.config.credentials() });
    await queue.hide({ receipt }, seconds);
  },
});

export async function handler(event: unknown, context: LambdaContext): Promise<unknown> {
  const before = trigger.counts();
  try {
    return await handle(event, context);
  } finally {
    console.log(emfLine(trigger.counts(), before, { FunctionName: AWS_LAMBDA_FUNCTION_NAME }));
  }
}
