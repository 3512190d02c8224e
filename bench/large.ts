/**
 * Peak memory and time of one large JPEG from file to file, in one way of tiling: decoded once to a temporary raw file,
 * restored tile by tile, encoded row by row. Run once per mode, since the peak is the process's. Results: docs/tiling.md.
 *
 *   node --conditions=@elfin/source bench/large.ts --photo FILE --weights FILE --mode local|global
 *     [--megapixels 50] [--passes 1] [--tile N] [--preset elf-lw] [--crop 128] [--threads N] [--out FILE]
 */
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import type { PresetName, TilingMode } from '@elfin/core';
import { describeElf } from '@elfin/core';
import { createNodeRuntime } from '@elfin/core/node';
import { createFileSink, decodeToFile } from '@elfin/core/sharp';
import { type Progress, runTiles } from '@elfin/core/tiling';
import sharp from 'sharp';
import { readModel } from './tiling-setup.ts';

const { values: args } = parseArgs({
  options: {
    photo: { type: 'string' },
    weights: { type: 'string' },
    mode: { type: 'string', default: 'global' },
    megapixels: { type: 'string', default: '50' },
    passes: { type: 'string', default: '1' },
    tile: { type: 'string' },
    preset: { type: 'string', default: 'elf-lw' },
    crop: { type: 'string', default: '128' },
    threads: { type: 'string' },
    out: { type: 'string' },
  },
});
if (!args.photo || !args.weights) throw new Error('Say where the photo (--photo) and the weights (--weights) are.');

const jpeg = await enlarge(args.photo, Number(args.megapixels) * 1e6);
const threads = args.threads === undefined ? {} : { threads: Number(args.threads) };
const model = await readModel(args.weights, args.preset as PresetName, Number(args.crop));
const runtime = createNodeRuntime({ device: 'cpu', ...threads });
const peak = () => Math.round(process.resourceUsage().maxRSS / 1024);
const begun = performance.now();
const since = () => ((performance.now() - begun) / 1000).toFixed(0);

await using source = await decodeToFile(jpeg);
await using sink = await createFileSink(source);
process.stderr.write(`${source.width}×${source.height} decoded after ${since()} s, peak ${peak()} MiB\n`);
let tenth = 0;
const onProgress = ({ phase, tile, tiles, fraction }: Progress) => {
  if (Math.floor(fraction * 10) === tenth) return;
  tenth = Math.floor(fraction * 10);
  process.stderr.write(`${phase} ${tile}/${tiles} after ${since()} s, peak ${peak()} MiB\n`);
};
const tile = args.tile === undefined ? {} : { tile: Number(args.tile) };
const { plan, runs } = await runTiles({
  source,
  sink,
  open: (options) => runtime.open(model, options),
  crop: model.manifest.crop,
  layout: describeElf(model.manifest.preset).statistics,
  tiling: { mode: args.mode as TilingMode, passes: Number(args.passes), ...tile },
  onProgress,
});
const encoded = await sink.encode({ format: 'jpeg', quality: 90 });
await runtime.dispose();
if (args.out) await writeFile(args.out, encoded);
const { mode, window, overlap } = plan;
process.stdout.write(
  `${JSON.stringify({ mode, window, overlap, runs, bytes: encoded.length, seconds: Number(since()), peakMiB: peak() })}\n`,
);

/** The photo in rows and columns of itself, so that it is sharp and as large as wanted. */
async function enlarge(path: string, pixels: number): Promise<Uint8Array> {
  const { width, height } = await sharp(path).metadata();
  const times = Math.sqrt(pixels / width / height);
  const whole = { width: Math.floor(width * times), height: Math.floor(height * times) };
  const repeat = Math.ceil(times);
  const sheet = sharp({ create: { width: width * repeat, height: height * repeat, channels: 3, background: '#000' } })
    .composite([{ input: path, tile: true, gravity: 'northwest' }])
    .raw();
  const { data, info } = await sheet.toBuffer({ resolveWithObject: true });
  const raw = { width: info.width, height: info.height, channels: 3 as const };
  const jpeg = sharp(data, { raw, limitInputPixels: false }).extract({ left: 0, top: 0, ...whole });
  return new Uint8Array(await jpeg.jpeg({ quality: 92 }).toBuffer());
}
