/**
 * How much of a window's edge must be thrown away: the largest difference between tiles that are told the whole image's
 * statistics and the whole image's own result, for each halo. Results: docs/tiling.md.
 *
 *   node --conditions=@elfin/source bench/tiling-halo.ts --photo FILE [--model derain-lw]
 */
import { parseArgs } from 'node:util';
import type { Feeds, PixelImage, Session, SessionOptions } from '@elfin/core';
import { describeElf } from '@elfin/core';
import { createNodeRuntime } from '@elfin/core/node';
import type { TilingOptions } from '@elfin/core/tiling';
import { createStatisticsTotal, imageSink, imageSource, runTiles } from '@elfin/core/tiling';
import { openModel } from './models.ts';
import { readPhoto } from './photos.ts';
import { addRain } from './rain.ts';

const { values: args } = parseArgs({
  options: {
    photo: { type: 'string' },
    model: { type: 'string', default: 'derain-lw' },
  },
});
if (!args.photo) throw new Error('Say where the photo is: --photo FILE');

const model = await openModel(args.model);
const layout = describeElf(model.manifest.preset).statistics;
const runtime = createNodeRuntime({ device: 'cpu' });
const rainy = addRain(await readPhoto(args.photo), { seed: 1 });
// Sixteen bits, so that rounding does not hide small differences.
const image: PixelImage = { ...rainy, data: Uint16Array.from(rainy.data, (value) => value * 257) };

let whole: Float32Array | undefined;
const { result: expected } = await restore({ mode: 'whole' }, async (session, feeds) => {
  const outputs = await session.run(feeds);
  const [, , height, width] = feeds.image!.shape as [number, number, number, number];
  const total = createStatisticsTotal(layout);
  total.add(outputs.sums!.data as Float32Array);
  whole = total.means(height / 2, width / 2);
  return outputs;
});

process.stdout.write('| halo, grid pixels (image pixels) | largest difference | PSNR to the whole |\n|---|---|---|\n');
for (const halo of [0, 16, 32, 48, 64, 80, 96]) {
  const tiling: TilingOptions = { mode: 'global', tile: 256 + 2 * halo, overlap: 2 * halo, passes: 0 };
  const { result } = await restore(tiling, (session, feeds) => {
    const statistics = { type: 'float32', shape: [1, whole!.length], data: whole! } as const;
    return session.run(feeds.statistics ? { ...feeds, statistics } : feeds);
  });
  let most = 0;
  let squares = 0;
  for (let i = 0; i < result.length; i++) {
    const delta = Math.abs(result[i]! - expected[i]!) / 65535;
    most = Math.max(most, delta);
    squares += delta * delta;
  }
  const psnr = -10 * Math.log10(squares / result.length);
  process.stdout.write(`| ${halo / 2} (${halo}) | ${most.toExponential(1)} | ${psnr.toFixed(1)} |\n`);
}
await runtime.dispose();

async function restore(tiling: TilingOptions, run: (session: Session, feeds: Feeds) => ReturnType<Session['run']>) {
  const sink = imageSink(image.width, image.height, 16);
  const open = async (options: SessionOptions): Promise<Session> => {
    const session = await runtime.open(model, options);
    return { ...session, run: (feeds) => run(session, feeds) };
  };
  await runTiles({ source: imageSource(image), sink, open, crop: model.manifest.crop, layout, tiling });
  return { result: sink.image.data };
}
