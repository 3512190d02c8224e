import type { S3Client } from '@aws-sdk/client-s3';
import {
  createAwsNotifier,
  createSqsQueue,
  createTrigger,
  type Handled,
  jsonLog,
  type Notify,
  notifierFor,
  regionOf,
  startSqsConsumer,
} from '@elfin/plugins';
import { answerProbe, isProbe, listen, startWatch } from '@elfin/plugins/node';
import { defineVerb, numberFlag } from '../flags/command.ts';
import { createDevice, DEVICE_FLAG, type Device } from '../flags/device.ts';
import { announce, LISTEN_FLAGS, portFlag, untilStopped } from '../flags/server.ts';
import {
  BUCKET_FLAGS,
  bucketStorage,
  everyBucket,
  parseBucketUrl,
  rulesFrom,
  s3Client,
  uploadRestorer,
} from '../flags/uploads.ts';
import { EXIT, type ExitCode, printFailure, usageError } from '../report/failure.ts';

/** Restores what is uploaded: as MinIO or versitygw tell of it, or as a queue of SQS does. */
export const watch = defineVerb({
  name: 'watch',
  description:
    'Restore on upload: take the webhook of MinIO or versitygw, or work off a queue of SQS; write each photo beside its original',
  args: {
    uploads: {
      type: 'positional',
      description: 's3://bucket/prefix of the uploads, or https://sqs… that tells of them',
      required: true,
    },
    ...BUCKET_FLAGS,
    ...LISTEN_FLAGS,
    journal: {
      type: 'string',
      default: '.elfin-journal',
      valueHint: 'folder',
      description: 'Keeps events until they are done',
    },
    reconcile: {
      type: 'string',
      valueHint: 'seconds',
      description: 'List the prefix at the start and so often (0: only then), for lost events',
    },
    device: DEVICE_FLAG,
  },
  examples: [
    'ELFIN_WEBHOOK_SECRET=$(openssl rand -hex 16) elfin watch s3://photos/incoming/ --task derain --endpoint http://127.0.0.1:9000',
    'elfin watch s3://photos/incoming/ --rules rules.json --reconcile 3600',
    'elfin watch https://sqs.eu-central-1.amazonaws.com/111122223333/uploads --rules rules.json --json',
  ],
  async run({ args, words }) {
    const [what = '', ...others] = words;
    if (others.length > 0 || what === '')
      throw usageError('watch takes one s3://bucket/prefix, or the URL of an SQS queue.');
    await using device = await createDevice(args.device);
    return /^https?:\/\//.test(what) ? watchQueue(what, args, device) : watchBucket(what, args, device);
  },
});

type Args = Readonly<Record<'rules' | 'task' | 'endpoint' | 'port' | 'reconcile', string | undefined>> & {
  readonly journal: string;
  readonly host: string;
  readonly json?: boolean | undefined;
};

/** What is told of each event: its story in lines of JSON, or results on stdout and failures on stderr. */
function reporting(json: boolean) {
  const onHandled = (handled: readonly Handled[]) => {
    for (const { event, outcome } of handled) {
      if (outcome.status === 'restored') process.stdout.write(`${event?.key} → ${outcome.key}\n`);
      if ('error' in outcome) printFailure(outcome.error, { ...(event && { subject: event.key }), debug: false });
    }
  };
  return json
    ? { log: jsonLog((line) => void process.stdout.write(`${line}\n`)), onHandled: undefined }
    : { log: undefined, onHandled };
}

/** Who is told of results and failures, as `ELFIN_NOTIFY_URL` says: a webhook's URL, or an ARN, or a queue of SQS. */
function notifierOf(client: S3Client): Notify | undefined {
  const { ELFIN_NOTIFY_URL: url, ELFIN_NOTIFY_SECRET: secret } = process.env;
  if (url && !secret && (url.startsWith('arn:') || regionOf(url))) {
    return createAwsNotifier({ target: url, credentials: () => client.config.credentials() });
  }
  return notifierFor(url, secret);
}

async function watchBucket(what: string, args: Args, device: Device): Promise<ExitCode> {
  const place = parseBucketUrl(what);
  const secret = process.env.ELFIN_WEBHOOK_SECRET;
  if (secret === undefined) throw usageError('Set ELFIN_WEBHOOK_SECRET: who knows it may tell of uploads.');
  const every = numberFlag('reconcile', args.reconcile, { min: 0, max: 1_000_000 });
  const client = await s3Client(args.endpoint);
  const notify = notifierOf(client);
  const rules = await rulesFrom(args, place);
  const storage = bucketStorage(client, place.bucket, rules);
  const store = storage(place.bucket)!;
  const { restorer, dispose } = uploadRestorer(device);
  const json = args.json === true;
  const { log, onHandled } = reporting(json);
  const concurrency = 2 * device.concurrency;
  const trigger = createTrigger({ rules, restorer, storage, concurrency, notify, log });
  const running = await startWatch({
    trigger,
    buckets: [place.bucket],
    journal: args.journal,
    secret,
    hostname: args.host,
    port: portFlag(args.port, 8099),
    concurrency,
    ...(every !== undefined && {
      reconcile: { places: [{ ...place, store }], ...(every > 0 && { everyMs: every * 1000 }) },
    }),
    ...(onHandled && { onHandled }),
    onReconciled: (bucket, { listed, outcomes }) =>
      process.stdout.write(
        json
          ? `${JSON.stringify({ reconciled: bucket, listed, outcomes })}\n`
          : `reconciled ${bucket}: ${listed} listed, ${outcomes.restored ?? 0} restored, ${outcomes.failed ?? 0} failed\n`,
      ),
    onError: (error) => printFailure(error, { debug: false }),
  });
  announce({ name: 'elfin watch', url: running.url, journal: args.journal }, json);
  await untilStopped(() => running.stop());
  await dispose();
  return EXIT.done;
}

/** Works off a queue that S3 (or a backfill) fills; buckets are those that the messages name. */
async function watchQueue(queueUrl: string, args: Args, device: Device): Promise<ExitCode> {
  if (args.rules === undefined)
    throw usageError('A queue may tell of any bucket: give --rules with a prefix in each rule.');
  const client = await s3Client(args.endpoint);
  const rules = await rulesFrom({ rules: args.rules }, { bucket: '', prefix: '' });
  const storage = everyBucket(client);
  const { restorer, dispose } = uploadRestorer(device);
  const json = args.json === true;
  const { log, onHandled } = reporting(json);
  const concurrency = 2 * device.concurrency;
  const trigger = createTrigger({ rules, restorer, storage, concurrency, notify: notifierOf(client), log });
  const queue = createSqsQueue({ queueUrl, credentials: () => client.config.credentials() });
  const onError = (error: unknown) => printFailure(error, { debug: false });
  const consumer = startSqsConsumer({ queue, trigger, concurrency, onHandled, onError });
  const backlog = () => ({ pending: consumer.state().working, oldestMs: consumer.state().oldestMs });
  const answer = (request: Request) =>
    isProbe(request) ? answerProbe(request, trigger, backlog()) : new Response(null, { status: 404 });
  const server = await listen(answer, { hostname: args.host, port: portFlag(args.port, 8099) });
  announce({ name: 'elfin watch', url: server.url, queue: queueUrl }, json);
  await untilStopped(async () => {
    await consumer.stop();
    server.close();
  });
  await dispose();
  return EXIT.done;
}
