import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { awkwardKeys, inLanes, seeded, shuffle } from '../helpers/storm.ts';
import { freePort } from './helpers/process.ts';
import { type S3Server, startMinio, startVersitygw } from './helpers/s3.ts';
import { type Consumer, checkResults, inferences, startConsumer, startRelay, uploadPhotos } from './helpers/storm.ts';

const PHOTOS = 200;
const KILLS = 10;
const SECRET = 'a-shared-secret-of-the-storm';

describe.each([
  ['versitygw', startVersitygw],
  ['MinIO', startMinio],
] as const)('uploads to %s', (name, start) => {
  let folder: string;
  let relay: Awaited<ReturnType<typeof startRelay>>;
  let server: S3Server;
  let consumer: Consumer | undefined;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'elfin-storm-'));
    relay = await startRelay();
    server = await start({ webhook: relay.url });
  });
  afterEach(async () => {
    await consumer?.kill();
    await server.stop();
    relay.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const settingsOf = async (delayMs: number) => ({
    endpoint: server.endpoint,
    bucket: server.bucket,
    journal: join(folder, 'journal'),
    secret: SECRET,
    port: await freePort(),
    log: join(folder, 'inferences.log'),
    delayMs,
    claimMs: 2000,
  });

  /** Each event one to three times, in no order. */
  const deliveries = async (seed: number) => {
    const random = seeded(seed);
    const events = await relay.uploads(PHOTOS);
    return shuffle(
      events.flatMap((event) => Array.from({ length: 1 + Math.floor(random() * 3) }, () => event)),
      random,
    );
  };

  it(`restores each of ${PHOTOS} photos exactly once, each event delivered one to three times, shuffled`, async () => {
    const settings = await settingsOf(5);
    consumer = await startConsumer(settings, server.env);
    const contents = await uploadPhotos(server.client, server.bucket, awkwardKeys(PHOTOS));
    const all = await deliveries(7);
    expect(all.length).toBeGreaterThan(PHOTOS);
    const statuses = new Set<number>();
    await inLanes(all, 8, async (body) => {
      const answer = await fetch(`http://127.0.0.1:${settings.port}/events/${SECRET}`, { method: 'POST', body });
      statuses.add(answer.status);
    });
    expect([...statuses]).toEqual([202]);
    const { counts } = await consumer.ask('idle');
    expect(await checkResults(server.client, server.bucket, contents)).toEqual({
      results: PHOTOS,
      wrong: [],
      claims: [],
    });
    expect(counts).toMatchObject({ restored: PHOTOS, failed: 0, quarantined: 0, repeated: 0 });
    expect(await inferences(settings.log)).toBe(PHOTOS);
  });

  it(`has one whole result for each of ${PHOTOS} photos after ten kill -9 and one reconciliation`, async () => {
    const settings = await settingsOf(60);
    consumer = await startConsumer(settings, server.env);
    const contents = await uploadPhotos(server.client, server.bucket, awkwardKeys(PHOTOS));
    let lost = 0;
    const deliver = (bodies: readonly string[]) =>
      inLanes(bodies, 4, async (body) => {
        const url = `http://127.0.0.1:${settings.port}/events/${SECRET}`;
        // versitygw tells once: an event that comes while nobody listens is lost.
        const answer = await fetch(url, { method: 'POST', body }).catch(() => undefined);
        if (answer?.status !== 202) lost++;
        await sleep(25);
      });
    const all = await deliveries(11);
    const portion = Math.ceil(all.length / (KILLS + 1));
    for (let kill = 0; kill < KILLS; kill++) {
      const before = await inferences(settings.log);
      let told = false;
      const delivering = deliver(all.slice(kill * portion, (kill + 1) * portion)).then(() => {
        told = true;
      });
      // In the middle of it: some photos made, some at work, some waiting, some not told of yet.
      while (!told && (await inferences(settings.log)) < before + 6) await sleep(5);
      await consumer.kill();
      await delivering;
      consumer = await startConsumer(settings, server.env);
    }
    await deliver(all.slice(KILLS * portion));
    await consumer.ask('idle');
    const { report } = await consumer.ask('reconcile');
    expect(report?.failed).toEqual([]);
    expect(await checkResults(server.client, server.bucket, contents)).toEqual({
      results: PHOTOS,
      wrong: [],
      claims: [],
    });
    const repeated = (await inferences(settings.log)) - PHOTOS;
    // What was at work when its process died is made again, and nothing else: eight at once, ten deaths.
    expect(repeated).toBeGreaterThanOrEqual(0);
    expect(repeated).toBeLessThanOrEqual(KILLS * 8);
    console.info(`${name}: ${lost} deliveries lost, ${repeated} inferences repeated of ${PHOTOS + repeated}.`);
  }, 900_000);
});
