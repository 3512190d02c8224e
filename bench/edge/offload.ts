// Whole images or tiles: what Node sends to workers, by size of the image and number of workers. The workers share this
// machine's cores: one with two threads, then two with one thread each.
// Run: node --conditions=@elfin/source bench/edge/offload.ts [--rounds 3] [--sizes 512x384,1024x768,1600x1200]
import { parseArgs } from 'node:util';
import { createRestorer, loadSharpCodec } from '@elfin/core/node';
import { createRemoteRuntime } from '@elfin/core/remote';
import { type Backend, createTileBackend, createWorkerBackend } from '@elfin/edge';
import { createModels } from '@elfin/models/node';
import sharp from 'sharp';
import { startElfin } from '../../test/helpers/elfin-process.ts';
import { workContext } from '../../test/helpers/work-context.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    sizes: { type: 'string', default: '512x384,1024x768,1600x1200' },
  },
});
const median = (numbers: number[]) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] as number;
const SIZES = values.sizes.split(',').map((size) => size.split('x').map(Number) as [number, number]);

const codec = await loadSharpCodec();
const models = createModels();
const photo = new URL('../../packages/cli/assets/rainy.jpg', import.meta.url).pathname;
const images = await Promise.all(
  SIZES.map(async ([width, height]) => {
    const bytes = new Uint8Array(await sharp(photo).resize(width, height, { fit: 'cover' }).jpeg().toBuffer());
    return { bytes, header: await codec.probe(bytes) };
  }),
);

async function milliseconds(backend: Backend, index: number, atOnce: number): Promise<number> {
  const { bytes, header } = images[index] as (typeof images)[0];
  const work = { bytes, header, options: { restore: 'derain', format: 'webp' }, firstFrame: false } as const;
  const begin = performance.now();
  const make = () => backend.make(work, workContext({ deadline: Date.now() + 600_000 }));
  await Promise.all(Array.from({ length: atOnce }, make));
  return (performance.now() - begin) / atOnce;
}

const rows = [];
for (const [count, threads] of [
  [1, 2],
  [2, 1],
] as const) {
  const start = () => startElfin(['worker', '--port', '0', '--device', 'cpu', '--threads', String(threads)]);
  const workers = await Promise.all(Array.from({ length: count }, start));
  const runtime = createRemoteRuntime({ endpoints: workers.map(({ url }) => url), attemptMs: 300_000 });
  await using restorer = createRestorer({ models, codec, runtime });
  const { endpoints } = runtime;
  const whole = createWorkerBackend({ endpoints, codec, models });
  const tiles = createTileBackend({ endpoints, restorer, codec });
  // Each worker opens its graphs with the first image.
  for (const place of [whole, tiles]) await milliseconds(place, 0, 2 * count);
  for (const [index, [width, height]] of SIZES.entries()) {
    for (const atOnce of [1, 2 * count]) {
      const times: { whole: number; tiles: number }[] = [];
      for (let round = 0; round < Number(values.rounds); round++) {
        times.push({
          whole: await milliseconds(whole, index, atOnce),
          tiles: await milliseconds(tiles, index, atOnce),
        });
      }
      rows.push({
        workers: count,
        size: `${width} × ${height}`,
        atOnce,
        wholeMs: Math.round(median(times.map((one) => one.whole))),
        tilesMs: Math.round(median(times.map((one) => one.tiles))),
        tilesToWhole: Number(median(times.map((one) => one.tiles / one.whole)).toFixed(2)),
      });
    }
  }
  await Promise.all(workers.map((worker) => worker.stop()));
}
console.table(rows);
