import { createSqsQueue, createTrigger } from '@elfin/plugins';
import { redriveJournal, redriveQuarantine } from '@elfin/plugins/node';
import { defineVerb } from '../flags/command.ts';
import { createDevice, DEVICE_FLAG } from '../flags/device.ts';
import { BUCKET_FLAGS, bucketStorage, parseBucketUrl, rulesFrom, s3Client, uploadRestorer } from '../flags/uploads.ts';
import { EXIT, printFailure, usageError } from '../report/failure.ts';

/** Gives what was set aside another chance: dead letters and quarantine. */
export const redrive = defineVerb({
  name: 'redrive',
  description: "Try again what was set aside: a journal's dead events, a dead letter queue, or a bucket's quarantine",
  args: {
    what: {
      type: 'positional',
      description: 'Journal folder, URL of a dead letter queue at SQS, or s3://bucket/prefix for its quarantine',
      required: true,
    },
    ...BUCKET_FLAGS,
    device: DEVICE_FLAG,
  },
  examples: [
    'elfin redrive .elfin-journal',
    'elfin redrive https://sqs.eu-central-1.amazonaws.com/111122223333/uploads-dead',
    'elfin redrive s3://photos/incoming/ --rules rules.json',
  ],
  async run({ args, words }) {
    const [what = '', ...others] = words;
    if (what === '' || others.length > 0)
      throw usageError('redrive takes one journal, queue URL or s3://bucket/prefix.');
    const tell = (facts: Record<string, unknown>, text: string) =>
      process.stdout.write(args.json === true ? `${JSON.stringify(facts)}\n` : `${text}\n`);
    if (/^https?:\/\//.test(what)) {
      const client = await s3Client(args.endpoint);
      await createSqsQueue({ queueUrl: what, credentials: () => client.config.credentials() }).redrive();
      tell({ queue: what, moving: true }, `SQS moves the messages of ${what} back to their queue.`);
      return EXIT.done;
    }
    if (!what.startsWith('s3://')) {
      const moved = await redriveJournal(what);
      tell(
        { journal: what, moved },
        `${moved} events are to be done again; the next start of elfin watch takes them up.`,
      );
      return EXIT.done;
    }
    const place = parseBucketUrl(what);
    const client = await s3Client(args.endpoint);
    const rules = await rulesFrom(args, place);
    const storage = bucketStorage(client, place.bucket, rules);
    await using device = await createDevice(args.device);
    const { restorer, dispose } = uploadRestorer(device);
    try {
      const outcomes = await redriveQuarantine({
        ...place,
        store: storage(place.bucket)!,
        trigger: createTrigger({ rules, restorer, storage }),
        onOutcome(key, outcome) {
          if ('error' in outcome) printFailure(outcome.error, { subject: key, debug: false });
        },
      });
      const told = Object.entries(outcomes).map(([status, count]) => `${count} ${status}`);
      tell({ outcomes }, told.join(', ') || 'nothing in quarantine');
      return (outcomes.failed ?? 0) + (outcomes.quarantined ?? 0) > 0 ? EXIT.failed : EXIT.done;
    } finally {
      await dispose();
    }
  },
});
