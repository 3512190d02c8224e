// Mixed requests while the origin stalls, breaks off and fails, workers are killed and the store errs: every body must be the
// right one, no interim body may be cached, memory must stay flat.
// Run: node --conditions=@elfin/source --expose-gc bench/edge/storm.ts [--requests 10000] [--seed 7] [--threads 1]

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ElfinError } from '@elfin/core';
import { loadSharpCodec } from '@elfin/core/node';
import { createRemoteRuntime } from '@elfin/core/remote';
import {
  createEdge,
  createHttpSource,
  createLocalBackend,
  createSources,
  createWorkerBackend,
  parseTransform,
} from '@elfin/edge';
import { createPinnedFetch } from '@elfin/edge/node';
import { createModels } from '@elfin/models/node';
import { createMemoryStore, type ObjectStore } from '@elfin/storage';
import { createFolderStore } from '@elfin/storage/node';
import { auditStore, checkAnswer, type Expected } from './storm/check.ts';
import { startOrigin } from './storm/origin.ts';
import { createPictures, WIDTHS } from './storm/pictures.ts';
import { random } from './storm/random.ts';
import { startWorkers } from './storm/workers.ts';

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '10000' },
    seed: { type: 'string', default: '7' },
    workers: { type: 'string', default: '2' },
    lanes: { type: 'string', default: '32' },
  },
});
const requests = Number(values.requests);
const next = random(Number(values.seed));
const keys = [{ id: 'k', secret: new Uint8Array(32).fill(1) }];
const codec = await loadSharpCodec();
const models = createModels();
const folder = await mkdtemp(join(tmpdir(), 'elfin-storm-'));

const pictures = await createPictures(codec, models);
const origin = await startOrigin(pictures.sources, next);
const workers = await startWorkers(Number(values.workers));

const back = createFolderStore({ root: folder, maxBytes: 2_000_000 });
const storeErrors = { count: 0 };
const flaky =
  <A extends unknown[], R>(call: (...given: A) => Promise<R>) =>
  (...given: A) => {
    if (next() >= 0.03) return call(...given);
    storeErrors.count += 1;
    return Promise.reject(new ElfinError('STORE_FAILED', 'down'));
  };
const store: ObjectStore = { ...back, get: flaky(back.get), put: flaky(back.put) };
const fetch = createPinnedFetch({ networks: ['127.0.0.0/8'] });
const { endpoints } = createRemoteRuntime({ endpoints: workers.urls, attemptMs: 20_000 });
const edge = createEdge({
  keys,
  source: createSources({
    allow: [origin.url],
    sources: { http: createHttpSource({ allow: [origin.url], networks: ['127.0.0.0/8'], fetch, timeout: 1_000 }) },
  }),
  store,
  coordination: createMemoryStore(),
  backends: [createWorkerBackend({ endpoints, codec, models }), createLocalBackend({ codec })],
  codec,
  models,
  syncWait: 1_000,
  deadline: 20_000,
  sourceTtl: 2,
  concurrency: 8,
  queue: 512,
});

const answered = new Map<string, number>();
const count = (label: string) => answered.set(label, (answered.get(label) ?? 0) + 1);
const wrong: string[] = [];

/** One request of the mix. */
async function one(): Promise<void> {
  const index = Math.floor(next() * pictures.sources.length);
  const width = WIDTHS[Math.floor(next() * WIDTHS.length)] as number;
  const restore = next() < 0.8 ? 'derain' : 'none';
  const luck = next();
  const pending = luck < 0.1 ? ',pending=423' : luck < 0.2 ? ',pending=202' : luck < 0.4 ? ',pending=wait' : '';
  const path = `restore=${restore},width=${width},format=png${pending}`;
  const signed = await edge.signer?.sign(parseTransform(`${path}/${encodeURIComponent(`${origin.url}/${index}`)}`));
  // One in twenty is forged: it must never get an image.
  const forged = next() < 0.05;
  const method = next() < 0.05 ? 'HEAD' : 'GET';
  const url = forged ? `${signed}`.replace(`width=${width}`, `width=${width + 1}`) : signed;
  const response = await edge.fetch(new Request(`http://edge.example${url}`, { method }));
  const bytes = new Uint8Array(await response.arrayBuffer());
  const expected: Expected = { index, width, restore, forged, method };
  const { label, mistake } = await checkAnswer(response, bytes, expected, pictures, codec);
  count(label);
  if (mistake) wrong.push(`${mistake}: ${label} ${path}/${index}`);
}

const rss: number[] = [];
const sample = () => {
  globalThis.gc?.();
  rss.push(Math.round(process.memoryUsage().rss / 1e6));
  process.stderr.write(`${done} of ${requests}: ${rss.at(-1)} MB, ${wrong.length} wrong\n`);
};
const begin = performance.now();
let left = requests;
let done = 0;
const lane = async () => {
  while (left-- > 0) {
    await one();
    if (++done % Math.ceil(requests / 20) === 0) sample();
  }
};
const killing = workers.killEvery(3_000);
await Promise.all(Array.from({ length: Number(values.lanes) }, lane));
const seconds = (performance.now() - begin) / 1000;
const kills = await killing.end();
await edge.drain();
const kept = await auditStore(back, pictures, codec, origin.url);
const report = {
  requests,
  seconds: Math.round(seconds),
  faults: { ...origin.faults, storeErrors: storeErrors.count, workersKilled: kills },
  answered: Object.fromEntries([...answered].sort()),
  wrong: wrong.length,
  keptResults: kept.results,
  keptWrong: kept.wrong.length,
  rssMegabytes: rss,
};
await Promise.all([workers.stop(), origin.stop(), fetch.close()]);
await rm(folder, { recursive: true });
console.log(report);
for (const line of [...wrong, ...kept.wrong].slice(0, 10)) console.log(line);
process.exit(wrong.length + kept.wrong.length === 0 ? 0 : 1);
