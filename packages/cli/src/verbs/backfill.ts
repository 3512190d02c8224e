import { SQSClient } from '@aws-sdk/client-sqs';
import {
  type BackfillSink,
  createTrigger,
  enqueueToCloudflareQueue,
  parseRules,
  restoreHere,
  backfill as runBackfill,
} from '@elfin/plugins';
import { cursorFile } from '@elfin/plugins/node';
import { enqueueToSqs } from '@elfin/plugins/sqs';
import { defineVerb } from '../command.ts';
import { createDevice, DEVICE_FLAG } from '../device.ts';
import { EXIT, usageError } from '../failure.ts';
import { createProgress } from '../progress.ts';
import { BUCKET_FLAGS, bucketStorage, parseBucketUrl, rulesFrom, s3Client, uploadRestorer } from '../uploads.ts';

/** Restores what lies in a bucket already, here or by handing it to a queue. */
export const backfill = defineVerb({
  name: 'backfill',
  description: 'Restore what lies in a bucket already: here, or by filling the queue that uploads go through',
  args: {
    bucket: { type: 'positional', description: 's3://bucket/prefix', required: true },
    ...BUCKET_FLAGS,
    cursor: {
      type: 'string',
      valueHint: 'file',
      description: 'Keeps how far it came; the next run goes on from there',
    },
    since: { type: 'string', valueHint: 'date', description: 'Only objects modified since then' },
    to: {
      type: 'string',
      valueHint: 'URL',
      description: 'SQS queue URL, or cloudflare-queue://account/queue with CLOUDFLARE_API_TOKEN',
    },
    device: DEVICE_FLAG,
  },
  examples: [
    'elfin backfill s3://photos/incoming/ --task derain --cursor backfill.json',
    'elfin backfill s3://photos/incoming/ --rules rules.json --to https://sqs.eu-central-1.amazonaws.com/1/uploads',
  ],
  async run({ args, words }) {
    if (words.length !== 1) throw usageError('backfill takes one s3://bucket/prefix.');
    const place = parseBucketUrl(words[0]);
    const since = args.since === undefined ? undefined : Date.parse(args.since);
    if (Number.isNaN(since)) throw usageError(`--since is a date such as 2026-03-01, not "${args.since}".`);
    const input = await rulesFrom(args, place);
    const store = bucketStorage(s3Client(args.endpoint), place.bucket);
    const stop = new AbortController();
    const interrupt = () => stop.abort();
    process.once('SIGINT', interrupt);
    const bar = createProgress({ enabled: args.json !== true });
    await using device = await createDevice(args.device);
    const local = args.to === undefined ? uploadRestorer(device) : undefined;
    const storage = (bucket: string) => (bucket === place.bucket ? store : undefined);
    const sink: BackfillSink = local
      ? restoreHere(createTrigger({ rules: input, restorer: local.restorer, storage }), 2 * device.concurrency)
      : queueSink(args.to!);
    try {
      const report = await runBackfill({
        ...place,
        store,
        rules: parseRules(input),
        sink,
        signal: stop.signal,
        ...(args.cursor !== undefined && { cursor: cursorFile(args.cursor) }),
        ...(since !== undefined && { filter: ({ modified = Number.POSITIVE_INFINITY }) => modified >= since }),
        // A listing does not say how long it is: the bar shows what was sent of what was listed.
        onProgress: ({ listed, sent }) =>
          bar.update({ label: place.bucket, phase: `${sent} sent`, done: sent, total: listed }),
      });
      bar.stop();
      const told = Object.entries(report.outcomes).map(([status, count]) => `${count} ${status}`);
      process.stdout.write(
        args.json === true
          ? `${JSON.stringify(report)}\n`
          : `${report.listed} listed: ${told.join(', ') || 'nothing to do'}\n`,
      );
      return report.failed.length > 0 ? EXIT.failed : EXIT.done;
    } finally {
      bar.stop();
      process.off('SIGINT', interrupt);
      await local?.dispose();
    }
  },
});

function queueSink(to: string): BackfillSink {
  const [, accountId, queueId] = /^cloudflare-queue:\/\/([^/]+)\/([^/]+)$/.exec(to) ?? [];
  if (accountId !== undefined && queueId !== undefined) {
    const token = process.env.CLOUDFLARE_API_TOKEN;
    if (token === undefined) throw usageError('Set CLOUDFLARE_API_TOKEN: a token that may write to the queue.');
    return enqueueToCloudflareQueue({ accountId, queueId, token });
  }
  if (!/^https?:\/\//.test(to))
    throw usageError(`--to is an SQS queue URL or cloudflare-queue://account/queue, not "${to}".`);
  // The queue's URL names its server and, at Amazon, its region.
  const region = /\.([a-z0-9-]+)\.amazonaws\./.exec(to)?.[1] ?? process.env.AWS_REGION ?? 'us-east-1';
  return enqueueToSqs(new SQSClient({ region, endpoint: new URL(to).origin }), to);
}
