// Transform URLs against unjs/ipx on one machine and one image, and under load and faults.
// Run: node --conditions=@elfin/source --expose-gc bench/edge/edge.ts [--requests 4000] [--fuzz 100000] [--mixed 10000] [--json]
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { loadSharpCodec } from '@elfin/core/node';
import {
  createEdge,
  createLocalPlace,
  createMemoryStore,
  createSigner,
  createSources,
  parseTransform,
} from '@elfin/edge';
import { createFolderSource, createFolderStore, createPrometheus } from '@elfin/edge/node';
import { serve } from '@hono/node-server';
import { createIPX, createIPXNodeServer, ipxFSStorage } from 'ipx';
import sharp from 'sharp';
import { fuzz } from '../../test/helpers/fuzz-urls.ts';
import { storm } from './storm.ts';

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '4000' },
    fuzz: { type: 'string', default: '100000' },
    mixed: { type: 'string', default: '10000' },
    json: { type: 'boolean' },
  },
});
const REQUESTS = Number(values.requests);
const LANES = 16;

const folder = await mkdtemp(join(tmpdir(), 'elfin-bench-'));
const noise = Buffer.from(
  Array.from({ length: 1200 * 900 * 3 }, (_, at) => (Math.sin(at / 3001) * 90 + 128 + ((at * 7919) % 31)) & 255),
);
await writeFile(
  join(folder, 'photo.jpg'),
  await sharp(noise, { raw: { width: 1200, height: 900, channels: 3 } })
    .jpeg({ quality: 90 })
    .toBuffer(),
);

const codec = await loadSharpCodec();
const signer = createSigner({ keys: [{ id: 'k', secret: new Uint8Array(32).fill(1) }] });
const keys = [{ id: 'k', secret: new Uint8Array(32).fill(1) }];
const metrics = createPrometheus();
const edge = createEdge({
  keys,
  source: createSources({ allow: [], sources: { path: createFolderSource({ root: folder }) } }),
  store: createMemoryStore(),
  places: [createLocalPlace({ codec })],
  codec,
  metrics,
});

/** Requests a second over `LANES` keep-alive connections. */
async function rate(url: string, requests: number): Promise<number> {
  const begin = performance.now();
  let left = requests;
  const lane = async () => {
    while (left-- > 0) {
      const response = await fetch(url);
      if (response.status !== 200) throw new Error(`${url} answered ${response.status}`);
      await response.arrayBuffer();
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return (requests / (performance.now() - begin)) * 1000;
}

const elfinServer = await new Promise<ReturnType<typeof serve>>((up) => {
  const server = serve({ fetch: edge.fetch, hostname: '127.0.0.1', port: 0 }, () => up(server));
});
const ipxServer = createServer(createIPXNodeServer(createIPX({ storage: ipxFSStorage({ dir: folder }) })));
await new Promise<void>((up) => ipxServer.listen(0, '127.0.0.1', up));
const at = (server: { address(): unknown }) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

const path = await signer.sign(parseTransform('restore=none,width=600,format=webp/photo.jpg'));
const ours = at(elfinServer) + path;
const theirs = `${at(ipxServer)}/w_600,f_webp/photo.jpg`;
await Promise.all([rate(ours, 50), rate(theirs, 20)]);
// Alternating, so that whatever else the machine does meets both.
const rounds = [];
for (let round = 0; round < 5; round++) {
  rounds.push({ ours: await rate(ours, REQUESTS / 5), theirs: await rate(theirs, Math.max(50, REQUESTS / 100)) });
}
const median = (numbers: number[]) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] as number;
const hit = { ours: median(rounds.map((one) => one.ours)), theirs: median(rounds.map((one) => one.theirs)) };

const { pathname, searchParams } = new URL(path, 'http://x');
const credentials = Object.fromEntries(searchParams);
const verifications = 5000;
const begin = performance.now();
const cpu = process.cpuUsage();
for (let i = 0; i < verifications; i++) await signer.verify(parseTransform(pathname.slice(3)), credentials);
const verifyMicroseconds = {
  wall: ((performance.now() - begin) / verifications) * 1000,
  // On a machine that is shared, the time that was really computed.
  cpu: (process.cpuUsage(cpu).user + process.cpuUsage(cpu).system) / verifications,
};

// A miss, against the same decode, resize and encode by hand.
const image = new Uint8Array(await (await import('node:fs/promises')).readFile(join(folder, 'photo.jpg')));
const work = async (width: number) => {
  const decoded = await codec.decode(image);
  await codec.encode(await codec.resize(decoded, { width, height: Math.round((width * 3) / 4) }), { format: 'webp' });
};
const misses = [];
for (let width = 500; width < 540; width++) {
  const first = performance.now();
  await work(width);
  const second = performance.now();
  const url = await signer.sign(parseTransform(`restore=none,width=${width},format=webp/photo.jpg`));
  const response = await edge.fetch(new Request(`http://x${url}`));
  await response.arrayBuffer();
  misses.push({ bare: second - first, edge: performance.now() - second });
}
const missOverhead = median(misses.map((one) => one.edge)) / median(misses.map((one) => one.bare)) - 1;

elfinServer.close();
ipxServer.close();
const report = {
  hit: { ...hit, ratio: hit.ours / hit.theirs },
  verifyMicroseconds,
  missOverhead,
  cold: await storm.cold({ folder, codec, createStore: () => createFolderStore({ root: join(folder, 'cold') }) }),
  fuzz: await fuzz({ cases: Number(values.fuzz) }),
  mixed: await storm.mixed({ requests: Number(values.mixed), codec }),
};
await rm(folder, { recursive: true });
console.log(values.json ? JSON.stringify(report) : report);
process.exit(
  report.mixed.wrong + report.mixed.cachedInterim + report.fuzz.bad.length === 0 && report.cold.runs === 1 ? 0 : 1,
);
