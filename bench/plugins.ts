// What restore on upload costs beside the restoring itself, against a local versitygw.
// Run: node --conditions=@elfin/source bench/plugins.ts [--events 10000] [--json]
// With node --expose-gc garbage is collected before memory is read.
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { S3Client } from '@aws-sdk/client-s3';
import { createTrigger, type UploadEvent } from '@elfin/plugins';
import { createClientStore } from '@elfin/storage/aws';
import { inLanes, seeded, shuffle } from '../test/helpers/storm.ts';
import { startVersitygw } from '../test/services/helpers/s3.ts';

const { values } = parseArgs({
  options: { events: { type: 'string', default: '10000' }, json: { type: 'boolean' } },
});
const EVENTS = Number(values.events);
const LANES = 32;

const server = await startVersitygw();
const client = new S3Client({
  endpoint: server.endpoint,
  region: 'us-east-1',
  forcePathStyle: true,
  credentials: credentials(server.env),
});
const store = createClientStore({ client, bucket: server.bucket });
const trigger = createTrigger({
  rules: [{ prefix: 'incoming/', task: 'derain' }],
  storage: () => store,
  concurrency: LANES,
  restorer: {
    codec: { name: 'none', version: '1' },
    models: async () => ['0'.repeat(64)],
    restoreBytes: async (bytes) => ({ bytes }),
  },
});

// A tenth of the photos is uploaded twice: the first version's event is stale.
const photos = Math.floor(EVENTS / 2);
const events: UploadEvent[] = [];
const bytes = new Uint8Array(20_000).fill(7);
await inLanes([...Array(photos).keys()], LANES, async (index) => {
  const key = `incoming/${String(index).padStart(6, '0')}.jpg`;
  const versions = index % 10 === 0 ? 2 : 1;
  for (let version = 0; version < versions; version++) {
    bytes[0] = version;
    const put = await store.put(key, bytes.slice(), { type: 'image/jpeg' });
    if (typeof put === 'string') throw new Error(put);
    const event = {
      kind: 'created',
      name: 'Put',
      source: 'bench',
      bucket: server.bucket,
      key,
      size: bytes.length,
    } as const;
    events.push({ ...event, etag: put.etag });
  }
});
const random = seeded(1);
while (events.length < EVENTS) events.push(events[Math.floor(random() * events.length)]!);
const mixed = shuffle(events, random);

await trigger.check([server.bucket]);
const before = { cpu: process.cpuUsage(), server: await cpuOf(server.pid), time: performance.now() };
const memory: number[] = [];
const heap: number[] = [];
const mebibytes = (bytes: number) => Math.round(bytes / 2 ** 20);
let handled = 0;
await inLanes(mixed, LANES, async (event) => {
  const outcome = await trigger.process(event);
  if (outcome.status === 'failed') throw outcome.error;
  if (++handled % Math.floor(EVENTS / 10) !== 0) return;
  (globalThis as { gc?: () => void }).gc?.();
  const { rss, heapUsed } = process.memoryUsage();
  memory.push(mebibytes(rss));
  heap.push(mebibytes(heapUsed));
});
const seconds = (performance.now() - before.time) / 1000;
const cpu = process.cpuUsage(before.cpu);
const counts = trigger.counts();
const own = (cpu.user + cpu.system) / 1000 / EVENTS;
const servers = ((await cpuOf(server.pid)) - before.server) / EVENTS;
const expected = counts.restored === photos && counts.restored + counts.done === EVENTS && counts.failed === 0;
await server.stop();

const fresh = counts.restored / EVENTS;
const report = {
  events: EVENTS,
  counts,
  correct: expected,
  perSecond: Math.round(EVENTS / seconds),
  cpuMsPerEvent: { elfin: Number(own.toFixed(2)), versitygw: Number(servers.toFixed(2)) },
  perSecondOfTwoIdleCores: Math.round(2000 / (own + servers)),
  fresh,
  rssMiB: memory,
  heapMiB: heap,
};
console.log(values.json ? JSON.stringify(report, null, 2) : report);
if (!expected) process.exitCode = 1;

/** Milliseconds of CPU that a process has used: user and system, in ticks of 10 ms. */
async function cpuOf(pid: number): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

function credentials(env: Record<string, string>) {
  return { accessKeyId: env.AWS_ACCESS_KEY_ID!, secretAccessKey: env.AWS_SECRET_ACCESS_KEY! };
}
