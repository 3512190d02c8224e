import {
  emitElf,
  type Feeds,
  type PixelImage,
  PRESETS,
  type PresetName,
  type Session,
  type SessionOptions,
} from '@elfin/core';
import type { TilingOptions } from '@elfin/core/tiling';
import { createStatisticsTotal, imageSink, imageSource, runTiles } from '@elfin/core/tiling';
import { expect, test } from 'vitest';
import { openElf, type Plain, readGolden } from '../helpers/elf.ts';
import { seeded } from '../helpers/seeded-model.ts';

/** Smooth blobs under noise: neither flat, so that every statistic differs from place to place, nor sixteen-periodic. */
function picture(width: number, height: number): PixelImage {
  const random = seeded(7);
  const blobs = Array.from({ length: 40 }, () => ({
    x: random() * width,
    y: random() * height,
    reach: 8 + 40 * random(),
    colour: [random(), random(), random()] as const,
  }));
  const data = new Uint16Array(width * height * 3);
  for (let i = 0; i < data.length; i++) {
    const [x, y] = [Math.floor(i / 3) % width, Math.floor(i / 3 / width)];
    let value = 0.1 * random();
    for (const blob of blobs) {
      value += 0.5 * blob.colour[i % 3]! * Math.exp(-((x - blob.x) ** 2 + (y - blob.y) ** 2) / blob.reach ** 2);
    }
    data[i] = Math.round(65535 * Math.min(1, value));
  }
  return { width, height, channels: 3, data };
}

/**
 * Sessions on a golden network: each graph is opened once, which takes longer than to run it. `change` may replace what they
 * are fed, `see` looks at what comes out.
 */
function tiler(preset: PresetName) {
  const { model, weights } = readGolden(preset);
  const graphs = new Map<string, Awaited<ReturnType<typeof openElf>>>();
  const layout = emitElf({ model, weights }).statistics;
  const run = async (image: PixelImage, tiling: TilingOptions, { change, see }: Watching = {}) => {
    const open = async (options: SessionOptions): Promise<Session> => {
      const key = JSON.stringify(options);
      const graph = graphs.get(key) ?? (await openElf({ model, weights, ...options }));
      graphs.set(key, graph);
      return {
        backend: { provider: 'cpu', threads: 1, declined: [], implementation: 'onnxruntime-node' },
        async run(feeds) {
          const outputs = await graph.run(change ? change(feeds) : feeds);
          see?.(outputs);
          return Object.fromEntries(
            Object.entries(outputs).map(([name, { shape, data }]) => [
              name,
              { type: 'float32', shape, data: data as Float32Array },
            ]),
          );
        },
        async dispose() {},
        async [Symbol.asyncDispose]() {},
      };
    };
    const sink = imageSink(image.width, image.height, 16);
    await runTiles({ source: imageSource(image), sink, open, crop: 64, layout, tiling });
    return sink.image;
  };
  return { layout, run };
}

interface Watching {
  readonly change?: (feeds: Feeds) => Feeds;
  readonly see?: (outputs: Readonly<Record<string, Plain>>) => void;
}

function difference(a: PixelImage, b: PixelImage) {
  let most = 0;
  let squares = 0;
  for (let i = 0; i < a.data.length; i++) {
    const delta = Math.abs(a.data[i]! - b.data[i]!) / 65535;
    most = Math.max(most, delta);
    squares += delta * delta;
  }
  return { most, psnr: -10 * Math.log10(squares / a.data.length) };
}

const image = picture(370, 214);

test('`global` comes nearer to the whole image with each pass, and far nearer than `local`', async () => {
  const { run } = tiler('elf-lw');
  const whole = await run(image, { mode: 'whole' });
  const tiled = { tile: 256, overlap: 64 };
  const figures: number[] = [];
  for (const passes of [0, 1, 2, 3]) {
    const result = await run(image, { mode: 'global', ...tiled, passes, thumbnail: 256 });
    figures.push(difference(result, whole).psnr);
  }
  const [thumbnail, once, twice, thrice] = figures as [number, number, number, number];
  expect(once).toBeGreaterThan(thumbnail);
  expect(twice).toBeGreaterThan(once + 3);
  expect(thrice).toBeGreaterThan(twice + 3);
  expect(thrice).toBeGreaterThan(difference(await run(image, { mode: 'local', ...tiled }), whole).psnr + 20);
});

test.each(PRESETS)("%s in tiles, told the whole image's statistics, gives the whole image's result", async (preset) => {
  const { layout, run } = tiler(preset);
  const total = createStatisticsTotal(layout);
  const see = ({ sums }: Readonly<Record<string, Plain>>) => total.add(sums!.data as Float32Array);
  const whole = await run(image, { mode: 'whole' }, { see });
  const data = total.means(112, 192);
  const statistics = { type: 'float32', shape: [1, data.length], data } as const;
  const change = (feeds: Feeds) => (feeds.statistics ? { ...feeds, statistics } : feeds);
  const tiling = { mode: 'global', tile: 256, overlap: 128, passes: 0, thumbnail: 16 } as const;
  const tiled = await run(image, tiling, { change });
  expect(difference(tiled, whole).most).toBeLessThanOrEqual(1e-3);
});
