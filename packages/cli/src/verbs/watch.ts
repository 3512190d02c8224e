import { createTrigger, notifierFor } from '@elfin/plugins';
import { startWatch } from '@elfin/plugins/node';
import { defineVerb, numberFlag } from '../flags/command.ts';
import { createDevice, DEVICE_FLAG } from '../flags/device.ts';
import { announce, LISTEN_FLAGS, portFlag, untilStopped } from '../flags/server.ts';
import { BUCKET_FLAGS, bucketStorage, parseBucketUrl, rulesFrom, s3Client, uploadRestorer } from '../flags/uploads.ts';
import { EXIT, printFailure, usageError } from '../report/failure.ts';

/** Restores what is uploaded to a bucket of MinIO or versitygw, as they tell of it. */
export const watch = defineVerb({
  name: 'watch',
  description:
    'Restore on upload: take the webhook of MinIO or versitygw, write each restored photo beside its original',
  args: {
    bucket: { type: 'positional', description: 's3://bucket/prefix of the uploads', required: true },
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
  ],
  async run({ args, words }) {
    if (words.length !== 1) throw usageError('watch takes one s3://bucket/prefix.');
    const place = parseBucketUrl(words[0]);
    const secret = process.env.ELFIN_WEBHOOK_SECRET;
    if (secret === undefined) throw usageError('Set ELFIN_WEBHOOK_SECRET: who knows it may tell of uploads.');
    const every = numberFlag('reconcile', args.reconcile, { min: 0, max: 1_000_000 });
    const notify = notifierFor(process.env.ELFIN_NOTIFY_URL, process.env.ELFIN_NOTIFY_SECRET);
    const rules = await rulesFrom(args, place);
    const storage = bucketStorage(await s3Client(args.endpoint), place.bucket, rules);
    const store = storage(place.bucket)!;
    await using device = await createDevice(args.device);
    const { restorer, dispose } = uploadRestorer(device);
    const trigger = createTrigger({
      rules,
      restorer,
      storage,
      concurrency: 2 * device.concurrency,
      ...(notify && { notify }),
    });
    const json = args.json === true;
    const running = await startWatch({
      trigger,
      buckets: [place.bucket],
      journal: args.journal,
      secret,
      hostname: args.host,
      port: portFlag(args.port, 8099),
      concurrency: 2 * device.concurrency,
      ...(every !== undefined && {
        reconcile: { places: [{ ...place, store }], ...(every > 0 && { everyMs: every * 1000 }) },
      }),
      onHandled(handled) {
        for (const { event, outcome } of handled) {
          const { error, ...plain } = outcome as typeof outcome & { error?: Error };
          if (json)
            process.stdout.write(
              `${JSON.stringify({ key: event?.key, ...plain, ...(error && { error: error.message }) })}\n`,
            );
          else if (outcome.status === 'restored') process.stdout.write(`${event?.key} → ${outcome.key}\n`);
          if (error) printFailure(error, { ...(event && { subject: event.key }), debug: false });
        }
      },
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
  },
});
