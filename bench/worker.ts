/**
 * What a worker costs beside the network itself, by tiles of 512² as they really travel. Method and results: bench/README.md.
 *
 *   node --conditions=@elfin/source bench/worker.ts [--only bytes,wire,overhead,scaling,batching] [--rounds N] [--tiles N]
 *     [--latency MS] [--threads N]
 *
 * `bytes`: on the wire, UINT8 against FP32. `wire`: processor time of a tile's way there and back, with a device that computes
 * nothing, which neighbours on the machine hardly disturb. `overhead`: tiles a second of one worker against the same network in this
 * process, in turns. `scaling`: 1, 2 and 4 worker processes whose accelerator takes `--latency` for a run and leaves the
 * processors alone. `batching`: the same, with one process and runs of up to 4 tiles, and really computed on the CPU.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { describeElf, type ModelRef, type Session, type SessionOptions, type Tensor } from '@elfin/core';
import { createNodeRuntime } from '@elfin/core/node';
import { createRemoteRuntime } from '@elfin/core/remote';
import { createModels } from '@elfin/models/node';
import { namedModel } from '../test/helpers/accelerator.ts';
import { seeded } from '../test/helpers/seeded-model.ts';
import { markdownTable } from './table.ts';
import { processorMs, startWorker } from './worker-process.ts';

const { values: args } = parseArgs({
  options: {
    only: { type: 'string', default: 'bytes,wire,overhead,scaling,batching' },
    rounds: { type: 'string', default: '7' },
    tiles: { type: 'string', default: '6' },
    latency: { type: 'string', default: '100' },
    threads: { type: 'string', default: `${availableParallelism()}` },
  },
});
const [rounds, tiles, latency, threads] = [args.rounds, args.tiles, args.latency, args.threads].map(Number) as [
  number,
  number,
  number,
  number,
];
const SIDE = 512;
const OWN = { io: 'uint8', statistics: 'own', quadrants: 'own' } as const;
const RESTORED = { outputs: ['restored', 'background'] };
const wanted = new Set(args.only.split(','));
const model = await createModels().resolve('derain', 'lw');

const random = seeded(1);
const noise = Uint8Array.from({ length: SIDE * SIDE * 3 }, () => random() * 256);
const tile: Tensor = { type: 'uint8', shape: [1, SIDE, SIDE, 3], data: noise };

/** Tiles a second, with so many under way at once. */
async function throughput(session: Session, count: number, inFlight: number): Promise<number> {
  const begun = performance.now();
  let left = count;
  const lane = async () => {
    while (left-- > 0) await session.run({ image: tile }, RESTORED);
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
  return (1000 * count) / (performance.now() - begun);
}

const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[values.length >> 1]!;
const spread = (values: readonly number[], digits: number) => {
  const sorted = values.toSorted((a, b) => a - b);
  return `${median(values).toFixed(digits)} (${sorted[0]!.toFixed(digits)} to ${sorted.at(-1)!.toFixed(digits)})`;
};
const show = (title: string, heads: readonly string[], rows: readonly (readonly string[])[]) =>
  process.stdout.write(`\n${title}\n\n${markdownTable([heads, ...rows])}\n`);

if (wanted.has('bytes')) await bytes();
if (wanted.has('wire')) await wire();
if (wanted.has('overhead')) await overhead();
if (wanted.has('scaling')) await scaling();
if (wanted.has('batching')) await batching();

/** Counts what goes through fetch: the bodies of one tile of each kind, there and back. */
async function bytes(): Promise<void> {
  await using worker = await startWorker({ device: 'cpu', threads });
  const counted = { sent: 0, received: 0 };
  const fetch: typeof globalThis.fetch = async (url, init) => {
    counted.sent += (init?.body as Uint8Array | undefined)?.byteLength ?? 0;
    const response = await globalThis.fetch(url, init);
    if (init?.method === 'POST') counted.received += Number(response.headers.get('content-length'));
    return response;
  };
  const runtime = createRemoteRuntime({ endpoints: [worker.url], fetch });
  const rows: string[][] = [];
  for (const given of ['own', 'given'] as const)
    for (const outputs of given === 'own' ? [RESTORED.outputs] : [['sums'], RESTORED.outputs]) {
      const figures: number[] = [];
      for (const io of ['float', 'uint8'] as const) {
        const session = await runtime.open(model, { io, statistics: given, quadrants: given });
        Object.assign(counted, { sent: 0, received: 0 });
        await session.run(await feedsOf(io, given), { outputs });
        figures.push(counted.sent, counted.received);
      }
      const [sentFloat = 0, backFloat = 0, sentBytes = 0, backBytes = 0] = figures;
      const pair = (one: number, other: number) => `${kilobytes(one)} / ${kilobytes(other)}`;
      rows.push([
        `${given === 'own' ? 'whole, local' : 'global'}: ${outputs.join(', ')}`,
        pair(sentFloat, backFloat),
        pair(sentBytes, backBytes),
        ((sentFloat + backFloat) / (sentBytes + backBytes)).toFixed(2),
      ]);
    }
  show(`Bytes of a tile of ${SIDE}², kB out / back`, ['tile', 'FP32', 'UINT8', 'ratio'], rows);
}

/** Processor time of client and worker, without what starting and warming up took. */
async function wire(): Promise<void> {
  const [ours, theirs]: [number[], number[]] = [[], []];
  await using worker = await startWorker({ latencyMs: 0, maxBatch: 1, maxDelayMs: 0 });
  await using session = await createRemoteRuntime({ endpoints: [worker.url] }).open(namedModel(), OWN);
  const count = 40;
  await throughput(session, count, 2);
  for (let round = 0; round < rounds; round++) {
    const before = [processorMs(), await worker.processorMs()] as const;
    await throughput(session, count, 2);
    ours.push((processorMs() - before[0]) / count);
    theirs.push(((await worker.processorMs()) - before[1]) / count);
  }
  const both = ours.map((value, round) => value + theirs[round]!);
  show(
    `Processor time of a tile of ${SIDE}² on its way there and back, ms, ${rounds} rounds of ${count} tiles`,
    ['client', 'worker', 'both'],
    [[spread(ours, 1), spread(theirs, 1), spread(both, 1)]],
  );
}

function kilobytes(count: number): string {
  return (count / 1000).toFixed(0);
}

async function feedsOf(io: SessionOptions['io'], given: 'own' | 'given'): Promise<Record<string, Tensor>> {
  const picture = (channels: number, side: number, most: number): Tensor => {
    const data = Uint8Array.from({ length: channels * side * side }, () => random() * (most + 1));
    return io === 'uint8'
      ? { type: 'uint8', shape: [1, side, side, channels], data }
      : { type: 'float32', shape: [1, channels, side, side], data: Float32Array.from(data, (value) => value / most) };
  };
  if (given === 'own') return { image: picture(3, SIDE, 255) };
  const length = describeElf(model.manifest.preset).statistics.reduce((sum, slot) => sum + slot.length, 0);
  const means = Float32Array.from({ length }, () => 0.1 + random());
  return {
    image: picture(3, SIDE, 255),
    quadrants: picture(12, SIDE / 2, 255),
    core: picture(1, SIDE / 2, 1),
    statistics: { type: 'float32', shape: [1, length], data: means },
  };
}

/** In turns: so many tiles here, so many there; the ratio is of one round. Two in flight keep the worker busy. */
async function overhead(): Promise<void> {
  const local = createNodeRuntime({ device: 'cpu', threads });
  await using worker = await startWorker({ device: 'cpu', threads, maxBatch: 1 });
  await using here = await local.open(model, OWN);
  await using there = await createRemoteRuntime({ endpoints: [worker.url] }).open(model, OWN);
  for (const session of [here, there]) await throughput(session, 2, 2);
  const [ours, theirs, ratios]: [number[], number[], number[]] = [[], [], []];
  for (let round = 0; round < rounds; round++) {
    ours.push(await throughput(here, tiles, 2));
    theirs.push(await throughput(there, tiles, 2));
    ratios.push(ours.at(-1)! / theirs.at(-1)! - 1);
  }
  show(
    `One worker against this process, ${model.name}, ${SIDE}², ${threads} threads, ${rounds} rounds of ${tiles} tiles`,
    ['in process, tiles/s', 'worker, tiles/s', 'overhead, %'],
    [
      [
        spread(ours, 3),
        spread(theirs, 3),
        spread(
          ratios.map((ratio) => 100 * ratio),
          1,
        ),
      ],
    ],
  );
  await here.dispose();
  await local.dispose();
}

/** Enough tiles that the first and the last ones of each endpoint, which nothing overlaps, do not weigh. */
async function scaling(): Promise<void> {
  const served = namedModel();
  const rows: string[][] = [];
  let one = 0;
  for (const processes of [1, 2, 4]) {
    const workers = await Promise.all(
      Array.from({ length: processes }, () => startWorker({ latencyMs: latency, maxBatch: 1, maxDelayMs: 0 })),
    );
    const rates: number[] = [];
    for (let round = 0; round < Math.min(3, rounds); round++)
      rates.push(
        await remoteRate(
          served,
          workers.map(({ url }) => url),
          10 * tiles * processes,
        ),
      );
    one ||= median(rates);
    rows.push([
      `${processes}`,
      spread(rates, 2),
      (median(rates) / one / processes).toFixed(3),
      ((median(rates) * latency) / 1000 / processes).toFixed(3),
    ]);
    for (const worker of workers) await worker[Symbol.asyncDispose]();
  }
  show(
    `Worker processes, an accelerator of ${latency} ms a run in each, tiles of ${SIDE}²`,
    ['processes', 'tiles/s', 'of linear', 'of the accelerators’ own rate'],
    rows,
  );
}

async function remoteRate(served: ModelRef, endpoints: readonly string[], count: number): Promise<number> {
  const runtime = createRemoteRuntime({ endpoints });
  await using session = await runtime.open(served, OWN);
  await throughput(session, 2 * endpoints.length, runtime.tiles!.inFlight);
  return await throughput(session, count, runtime.tiles!.inFlight);
}

async function batching(): Promise<void> {
  const rows: string[][] = [];
  const ways = [
    [`accelerator, ${latency} ms a run`, namedModel(), { latencyMs: latency }, 20 * tiles],
    [`CPU, ${threads} threads, computed`, model, { device: 'cpu', threads }, 2 * tiles],
  ] as const;
  for (const [name, served, device, count] of ways) {
    const rates: number[] = [];
    for (const maxBatch of [1, 4]) {
      await using worker = await startWorker({ ...device, maxBatch });
      rates.push(await remoteRate(served, [worker.url], count));
    }
    rows.push([name, ...rates.map((rate) => rate.toFixed(2)), (rates[1]! / rates[0]!).toFixed(2)]);
  }
  show(`Batching, tiles of ${SIDE}², tiles/s`, ['device', 'one tile a run', 'up to 4', 'gain'], rows);
}
