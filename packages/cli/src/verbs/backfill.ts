import { SQSClient } from '@aws-sdk/client-sqs';
import { isElfinError } from '@elfin/core';
import {
  type BackfillReport,
  type BackfillSink,
  type BackfillSurvey,
  countWanted,
  createTrigger,
  enqueueToCloudflareQueue,
  paced,
  parseRules,
  restoreHere,
  backfill as runBackfill,
  surveyBackfill,
} from '@elfin/plugins';
import { cursorFile } from '@elfin/plugins/node';
import { enqueueToSqs } from '@elfin/plugins/sqs';
import { defineVerb, numberFlag } from '../flags/command.ts';
import { createDevice, DEVICE_FLAG } from '../flags/device.ts';
import { BUCKET_FLAGS, bucketStorage, parseBucketUrl, rulesFrom, s3Client, uploadRestorer } from '../flags/uploads.ts';
import { EXIT, printFailure, usageError } from '../report/failure.ts';
import { createProgress } from '../report/progress.ts';

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
    concurrency: {
      type: 'string',
      valueHint: '1…256',
      description: 'Objects at work at once, or calls to the queue; twice what the device takes at once',
    },
    rate: { type: 'string', valueHint: 'n', description: 'At most so many objects a second' },
    'dry-run': { type: 'boolean', description: 'Say what would be done: objects, megapixels, hours, cost' },
    device: DEVICE_FLAG,
  },
  examples: [
    'elfin backfill s3://photos/incoming/ --task derain --dry-run',
    'elfin backfill s3://photos/incoming/ --task derain --cursor backfill.json',
    'elfin backfill s3://photos/incoming/ --rules rules.json --to https://sqs.eu-central-1.amazonaws.com/1/uploads',
  ],
  async run({ args, words }) {
    if (words.length !== 1) throw usageError('backfill takes one s3://bucket/prefix.');
    const place = parseBucketUrl(words[0]);
    const since = args.since === undefined ? undefined : Date.parse(args.since);
    if (Number.isNaN(since)) throw usageError(`--since is a date such as 2026-03-01, not "${args.since}".`);
    const input = await rulesFrom(args, place);
    const storage = bucketStorage(await s3Client(args.endpoint), place.bucket, input);
    const store = storage(place.bucket)!;
    const stop = new AbortController();
    const interrupt = () => stop.abort();
    for (const signal of STOPPING) process.once(signal, interrupt);
    const json = args.json === true;
    const concurrency = numberFlag('concurrency', args.concurrency, { min: 1, max: 256, integer: true });
    const rate = numberFlag('rate', args.rate, { min: 0.001, max: 100_000 });
    const bar = createProgress({ enabled: !json });
    await using device = await createDevice(args.device);
    const local = args.to === undefined ? uploadRestorer(device) : undefined;
    const wanted = {
      ...place,
      store,
      rules: parseRules(input),
      signal: stop.signal,
      ...(since !== undefined && {
        filter: ({ modified = Number.POSITIVE_INFINITY }: { readonly modified?: number | undefined }) =>
          modified >= since,
      }),
    };
    const cursor = args.cursor === undefined ? undefined : cursorFile(args.cursor);
    if (args['dry-run'] === true) {
      const survey = await surveyBackfill(wanted, { after: (await cursor?.load())?.after });
      process.stdout.write(json ? `${JSON.stringify(survey)}\n` : `${surveyed(survey)}\n`);
      await local?.dispose();
      return EXIT.done;
    }
    let sofar: BackfillReport = { listed: 0, sent: 0, outcomes: {}, failed: [] };
    const trigger = local && createTrigger({ rules: input, restorer: local.restorer, storage });
    const direct = trigger
      ? restoreHere(trigger, concurrency ?? 2 * device.concurrency)
      : queueSink(args.to!, concurrency ?? 8);
    const sink = rate === undefined ? direct : paced(direct, rate);
    try {
      // A store that does not keep its word is refused once, not for each object.
      await trigger?.check([place.bucket]);
      let total = 0;
      if (bar.shown) {
        const before = await cursor?.load();
        const rest = before?.failed.length ?? 0;
        // Runs ahead of the work, a thousand objects a request; that it fails only costs the bar its end.
        const count = (found: number) => {
          total = rest + found;
        };
        countWanted(wanted, count, before?.complete ? undefined : before?.after).catch(() => undefined);
      }
      const report = await runBackfill({
        ...wanted,
        sink,
        purpose: JSON.stringify({ since, to: args.to }),
        ...(cursor && { cursor }),
        onOutcome(key, outcome) {
          if (!('error' in outcome)) return;
          bar.stop();
          printFailure(outcome.error, { subject: key, debug: false });
        },
        onProgress(report) {
          sofar = report;
          const { sent } = report;
          bar.update({ label: place.bucket, phase: `${sent} sent`, done: sent, total: Math.max(total, sent) });
        },
      });
      bar.stop();
      process.stdout.write(json ? `${JSON.stringify(report)}\n` : `${told(report)}\n`);
      return report.failed.length > 0 ? EXIT.failed : EXIT.done;
    } catch (error) {
      if (!(isElfinError(error) && error.code === 'ABORTED')) throw error;
      bar.stop();
      if (json) process.stdout.write(`${JSON.stringify({ ...sofar, stopped: true })}\n`);
      const next = cursor ? 'the same command goes on from there' : 'with --cursor it could be gone on with';
      process.stderr.write(`Stopped. ${told(sofar)}; ${next}.\n`);
      return EXIT.failed;
    } finally {
      bar.stop();
      for (const signal of STOPPING) process.off(signal, interrupt);
      await local?.dispose();
    }
  },
});

const STOPPING = ['SIGINT', 'SIGTERM'] as const;

/** What a megapixel takes the small network on two cores, in seconds; a GPU is far quicker. */
const SECONDS_PER_MEGAPIXEL = 5;
/** Lambda's price of a second with 3,008 MB on x86 in us-east-1, in dollars. */
const DOLLARS_PER_SECOND = 3008 / 1024 / 60_000;

/** `1,204 objects, 3.1 GB, about 14,300 megapixels: …`. */
function surveyed({ objects, bytes, megapixels, sampled }: BackfillSurvey): string {
  const number = (value: number) => Math.round(value).toLocaleString('en');
  const what = `${number(objects)} objects, ${(bytes / 1e9).toFixed(1)} GB`;
  if (megapixels === undefined) return `${what}; no header could be read to tell how many megapixels.`;
  const seconds = megapixels * SECONDS_PER_MEGAPIXEL;
  const hours = (seconds / 3600).toFixed(1);
  const dollars = (seconds * DOLLARS_PER_SECOND).toFixed(2);
  return `${what}, about ${number(megapixels)} megapixels by ${sampled} headers: about ${hours} h of two cores at ${SECONDS_PER_MEGAPIXEL} s a megapixel, $${dollars} on Lambda with 3,008 MB.`;
}

/** `12 listed: 10 restored, 2 done`. */
function told({ listed, outcomes }: BackfillReport): string {
  const parts = Object.entries(outcomes).map(([status, count]) => `${count} ${status}`);
  return `${listed} listed: ${parts.join(', ') || 'nothing to do'}`;
}

function queueSink(to: string, concurrency: number): BackfillSink {
  const [, accountId, queueId] = /^cloudflare-queue:\/\/([^/]+)\/([^/]+)$/.exec(to) ?? [];
  if (accountId !== undefined && queueId !== undefined) {
    const token = process.env.CLOUDFLARE_API_TOKEN;
    if (token === undefined) throw usageError('Set CLOUDFLARE_API_TOKEN: a token that may write to the queue.');
    // The same variable by which wrangler is led to another API.
    const endpoint = process.env.CLOUDFLARE_API_BASE_URL;
    return enqueueToCloudflareQueue({ accountId, queueId, token, ...(endpoint && { endpoint }) });
  }
  if (!/^https?:\/\//.test(to))
    throw usageError(`--to is an SQS queue URL or cloudflare-queue://account/queue, not "${to}".`);
  // The queue's URL names its server and, at Amazon, its region.
  const region = /\.([a-z0-9-]+)\.amazonaws\./.exec(to)?.[1] ?? process.env.AWS_REGION ?? 'us-east-1';
  const requestHandler = { connectionTimeout: 5000, requestTimeout: 30_000 };
  return enqueueToSqs(new SQSClient({ region, endpoint: new URL(to).origin, requestHandler }), to, concurrency);
}
