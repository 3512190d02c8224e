// A consumer of upload events as an own process, to be killed: `elfin watch` with a restorer that costs nothing.
import { appendFileSync } from 'node:fs';
import { S3Client } from '@aws-sdk/client-s3';
import { createTrigger } from '@elfin/plugins';
import { startWatch } from '@elfin/plugins/node';
import { createClientStore } from '@elfin/storage/aws';
import { cheapRestorer } from '../../helpers/upload.ts';

/** What the parent tells its consumer. */
export interface ConsumerSettings {
  readonly endpoint: string;
  readonly bucket: string;
  readonly journal: string;
  readonly secret: string;
  readonly port: number;
  /** A line an inference goes here, so that they are counted across processes. */
  readonly log: string;
  readonly delayMs: number;
  readonly claimMs: number;
}

const settings = JSON.parse(process.argv[2]!) as ConsumerSettings;
const client = new S3Client({ endpoint: settings.endpoint, region: 'us-east-1', forcePathStyle: true });
const store = createClientStore({ client, bucket: settings.bucket });
const restorer = cheapRestorer({ delayMs: settings.delayMs });
const trigger = createTrigger({
  rules: [{ prefix: 'incoming/', task: 'derain', alias: 'latest/{key}' }],
  storage: (bucket) => (bucket === settings.bucket ? store : undefined),
  restorer: {
    ...restorer,
    async restoreBytes(bytes, options, context) {
      appendFileSync(settings.log, 'inference\n');
      return restorer.restoreBytes(bytes, options, context);
    },
  },
  claims: { ttlMs: settings.claimMs },
});
const watch = await startWatch({
  trigger,
  journal: settings.journal,
  secret: settings.secret,
  port: settings.port,
  // Places, but no reconciliation of its own accord: the test says when.
  onError: (error) => console.error(error),
});
process.send?.({ ready: watch.port });
process.on('message', async (message) => {
  if (message === 'idle') await watch.drain.idle();
  if (message === 'reconcile') {
    const { backfill, restoreHere } = await import('@elfin/plugins');
    const sink = restoreHere(trigger);
    const report = await backfill({ bucket: settings.bucket, store, prefix: 'incoming/', rules: trigger.rules, sink });
    process.send?.({ answer: message, report, counts: trigger.counts() });
    return;
  }
  process.send?.({ answer: message, counts: trigger.counts() });
});
