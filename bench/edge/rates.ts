// Transform URLs against unjs/ipx on one machine and one image; what a signature and a miss cost.
// Run: node --conditions=@elfin/source bench/edge/rates.ts [--requests 4000] [--only signature|hits|resized|restored]

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createRestorer, loadSharpCodec } from '@elfin/core/node';
import { createEdge, createLocalBackend, createSigner, createSources, parseTransform } from '@elfin/edge';
import { createFolderSource, createPrometheus } from '@elfin/edge/node';
import { createModels } from '@elfin/models/node';
import { createMemoryStore } from '@elfin/storage';
import { serve } from '@hono/node-server';
import { createIPX, createIPXNodeServer, ipxFSStorage } from 'ipx';
import sharp from 'sharp';

const { values } = parseArgs({
  options: { requests: { type: 'string', default: '4000' }, only: { type: 'string' } },
});
const REQUESTS = Number(values.requests);
const LANES = 16;
const ROUNDS = 5;
const median = (numbers: number[]) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] as number;

const folder = await mkdtemp(join(tmpdir(), 'elfin-bench-'));
const photo = await readFile(new URL('../../packages/cli/assets/rainy.jpg', import.meta.url));
const sized = (width: number, height: number) =>
  sharp(photo).resize(width, height, { fit: 'cover' }).jpeg({ quality: 90 }).toBuffer();
await writeFile(join(folder, 'photo.jpg'), await sized(1200, 900));
await writeFile(join(folder, 'small.jpg'), await sized(512, 384));

const codec = await loadSharpCodec();
const keys = [{ id: 'k', secret: new Uint8Array(32).fill(1) }];
const signer = createSigner({ keys });
const models = createModels();
await using restorer = createRestorer({ models, codec });
const edge = createEdge({
  keys,
  source: createSources({ allow: [], sources: { path: createFolderSource({ root: folder }) } }),
  store: createMemoryStore(),
  backends: [createLocalBackend({ codec, restorer })],
  codec,
  models,
  metrics: createPrometheus(),
  syncWait: 60_000,
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

/** A hit beside ipx making the same image, and beside ipx handing out a file as it is, which is the least that it can do. */
async function hits() {
  const ours = await new Promise<ReturnType<typeof serve>>((up) => {
    const server = serve({ fetch: edge.fetch, hostname: '127.0.0.1', port: 0 }, () => up(server));
  });
  const theirs = createServer(createIPXNodeServer(createIPX({ storage: ipxFSStorage({ dir: folder }) })));
  await new Promise<void>((up) => theirs.listen(0, '127.0.0.1', up));
  const at = (server: { address(): unknown }) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const path = await signer.sign(parseTransform('restore=none,width=600,format=webp/photo.jpg'));
  const result = await fetch(at(ours) + path);
  // The same bytes as a file: neither side has more to send.
  await writeFile(join(folder, 'made.webp'), new Uint8Array(await result.arrayBuffer()));
  const urls = {
    elfin: at(ours) + path,
    ipx: `${at(theirs)}/w_600,f_webp/photo.jpg`,
    ipxUntouched: `${at(theirs)}/_/made.webp`,
  };
  const rounds: Record<keyof typeof urls, number[]> = { elfin: [], ipx: [], ipxUntouched: [] };
  for (const url of Object.values(urls)) await rate(url, 50);
  // Alternating, so that whatever else the machine does meets all of them.
  for (let round = 0; round < ROUNDS; round++) {
    rounds.elfin.push(await rate(urls.elfin, REQUESTS / ROUNDS));
    rounds.ipx.push(await rate(urls.ipx, Math.max(50, REQUESTS / 100)));
    rounds.ipxUntouched.push(await rate(urls.ipxUntouched, REQUESTS / ROUNDS));
  }
  ours.close();
  theirs.close();
  const perSecond = { elfin: median(rounds.elfin), ipx: median(rounds.ipx), untouched: median(rounds.ipxUntouched) };
  const ratio = (peer: number[]) => median(rounds.elfin.map((one, round) => one / (peer[round] as number)));
  return { perSecond, toIpx: ratio(rounds.ipx), toIpxUntouched: ratio(rounds.ipxUntouched) };
}

/** Microseconds for parsing a URL and verifying its signature: the median of batches, and of the processor's time. */
async function signature() {
  const { pathname, searchParams } = new URL(
    await signer.sign(parseTransform('restore=derain,width=1200,format=auto/https:/origin.example/rain.jpg')),
    'http://x',
  );
  const credentials = Object.fromEntries(searchParams);
  const batches: { wall: number; cpu: number }[] = [];
  const size = 500;
  for (let batch = 0; batch < 40; batch++) {
    const [begin, cpu] = [performance.now(), process.cpuUsage()];
    for (let i = 0; i < size; i++) await signer.verify(parseTransform(pathname.slice(3)), credentials);
    const used = process.cpuUsage(cpu);
    batches.push({ wall: ((performance.now() - begin) / size) * 1000, cpu: (used.user + used.system) / size });
  }
  return { wall: median(batches.map(({ wall }) => wall)), cpu: median(batches.map(({ cpu }) => cpu)) };
}

/** A miss beside the same steps by hand, in pairs: each width or quality is another result. */
async function misses(restore: 'derain' | 'none', name: string, rounds: number) {
  const bytes = new Uint8Array(await readFile(join(folder, name)));
  const byHand = async (quality: number) => {
    const decoded = await codec.decode(bytes);
    const image = restore === 'none' ? decoded : (await restorer.restore(decoded, { task: restore })).image;
    const width = Math.round(image.width / 2);
    const height = Math.round(image.height / 2);
    await codec.encode(await codec.resize(image, { width, height }), { format: 'webp', quality });
    return width;
  };
  const width = await byHand(1);
  const byEdge = async (quality: number) => {
    const url = await signer.sign(
      parseTransform(`restore=${restore},width=${width},format=webp,quality=${quality}/${name}`),
    );
    const response = await edge.fetch(new Request(`http://x${url}`));
    await response.arrayBuffer();
    if (!response.headers.get('elfin-info')?.endsWith('cache=miss')) throw new Error('That was no miss.');
  };
  const pairs: { bare: Cost; edged: Cost }[] = [];
  for (let quality = 50; quality < 50 + rounds; quality++) {
    // In turns, also in who is first.
    const order = quality % 2 === 0 ? ([byHand, byEdge] as const) : ([byEdge, byHand] as const);
    const costs = [];
    for (const way of order) costs.push(await cost(() => way(quality)));
    const [bare, edged] = (quality % 2 === 0 ? costs : costs.toReversed()) as [Cost, Cost];
    pairs.push({ bare, edged });
  }
  // Means: a garbage collection comes every few images, and whichever it meets pays for the others too.
  const of = (key: keyof Cost) => {
    const [bare, edged] = (['bare', 'edged'] as const).map((way) =>
      pairs.reduce((sum, pair) => sum + pair[way][key], 0),
    );
    const [byHandMs, addedMs] = [bare! / rounds, (edged! - bare!) / rounds];
    return { byHandMs, addedMs, added: addedMs / byHandMs };
  };
  return { wall: of('wall'), cpu: of('cpu') };
}

interface Cost {
  /** Milliseconds. */
  readonly wall: number;
  /** Milliseconds of the processor, over all threads. */
  readonly cpu: number;
}

async function cost(work: () => Promise<unknown>): Promise<Cost> {
  const [begin, cpu] = [performance.now(), process.cpuUsage()];
  await work();
  const used = process.cpuUsage(cpu);
  return { wall: performance.now() - begin, cpu: (used.user + used.system) / 1000 };
}

const parts = {
  signature: () => signature(),
  hits: () => hits(),
  resized: () => misses('none', 'photo.jpg', 50),
  restored: () => misses('derain', 'small.jpg', 12),
};
for (const [name, part] of Object.entries(parts)) {
  if (values.only === undefined || values.only === name) console.log(name, await part());
}
await edge.drain();
await rm(folder, { recursive: true });
