/**
 * What tiling costs in picture quality: PSNR to ground truth and to the whole image's output, and a figure for seams,
 * for each way of tiling, on photos under synthetic heavy rain. Method and results: docs/tiling.md.
 *
 *   node --conditions=@elfin/source bench/tiling.ts --photos DIR --weights FILE [--preset elf-lw] [--crop 128] [--threads N]
 *     [--rainy DIR: the same photos in rain, instead of synthesis] [--limit 10] [--scale 1] [--density 5000] [--size 1] [--only NAME,…] [--pictures DIR] [--json FILE]
 */
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { PixelImage, PresetName, SessionOptions } from '@elfin/core';
import { describeElf } from '@elfin/core';
import { createNodeRuntime } from '@elfin/core/node';
import type { Axis, Plan, TilingOptions } from '@elfin/core/tiling';
import { imageSink, imageSource, runTiles } from '@elfin/core/tiling';
import sharp from 'sharp';
import { addRain } from './rain.ts';
import { readModel, readPhoto } from './tiling-setup.ts';

const { values: args } = parseArgs({
  options: {
    photos: { type: 'string' },
    rainy: { type: 'string' },
    weights: { type: 'string' },
    preset: { type: 'string', default: 'elf-lw' },
    crop: { type: 'string', default: '128' },
    threads: { type: 'string' },
    limit: { type: 'string', default: '10' },
    scale: { type: 'string', default: '1' },
    density: { type: 'string', default: '5000' },
    size: { type: 'string', default: '1' },
    only: { type: 'string' },
    pictures: { type: 'string' },
    json: { type: 'string' },
  },
});
if (!args.photos || !args.weights) throw new Error('Say where the photos (--photos) and the weights (--weights) are.');

const local = (tile: number, overlap: number): TilingOptions => ({ mode: 'local', tile, overlap });
const global = (tile: number, overlap: number, passes: number): TilingOptions => ({
  mode: 'global',
  tile,
  overlap,
  passes,
});
const WAYS: Record<string, TilingOptions> = {
  whole: { mode: 'whole' },
  'local 128/0': local(128, 0),
  'local 128/32': local(128, 32),
  'local 128/64': local(128, 64),
  'local 256/64': local(256, 64),
  'local 256/128': local(256, 128),
  'local 512/128': local(512, 128),
  'global 256/96 ×1': global(256, 96, 1),
  'global 512/96 ×0': global(512, 96, 0),
  'global 512/96 ×1': global(512, 96, 1),
  'global 512/96 ×2': global(512, 96, 2),
  'global 512/96 ×3': global(512, 96, 3),
};
const ways = Object.entries(WAYS).filter(([name]) => !args.only || args.only.split(',').includes(name));

const threads = args.threads === undefined ? {} : { threads: Number(args.threads) };
const model = await readModel(args.weights, args.preset as PresetName, Number(args.crop));
const runtime = createNodeRuntime({ device: 'cpu', ...threads });
const open = (options: SessionOptions) => runtime.open(model, options);
// Held open: otherwise each run would load its graph anew.
const held = [
  await open({ io: 'float', statistics: 'own', quadrants: 'own' }),
  await open({ io: 'float', statistics: 'given', quadrants: 'given' }),
];
const layout = describeElf(model.manifest.preset).statistics;

interface Row {
  readonly photo: string;
  readonly way: string;
  readonly psnr: number;
  readonly toWhole?: number | undefined;
  readonly seam?: number | undefined;
  /** The seam figure of the whole image's output at the same lines: what the picture itself has there. */
  readonly seamOfWhole?: number | undefined;
  /** Pixels that went through the network, over those of the photo. */
  readonly work?: number;
}
const rows: Row[] = [];
const files = (await readdir(args.photos)).filter((name) => /\.(png|jpe?g)$/i.test(name)).sort(byNumber);
for (const file of files.slice(0, Number(args.limit))) {
  const clean = await readPhoto(join(args.photos, file), Number(args.scale));
  const rainy = args.rainy
    ? await readPhoto(join(args.rainy, file), Number(args.scale))
    : addRain(clean, { seed: Number.parseInt(file, 10) || 1, density: Number(args.density), size: Number(args.size) });
  const truth = luma(clean);
  const add = (row: Row) => {
    rows.push(row);
    process.stderr.write(`${JSON.stringify(row)}\n`);
  };
  add({ photo: file, way: 'input', psnr: psnr(luma(rainy), truth) });
  if (args.pictures) await savePicture(rainy, join(args.pictures, `${file}-input.png`));
  let whole: Float32Array | undefined;
  for (const [way, tiling] of ways) {
    const sink = imageSink(rainy.width, rainy.height, 8);
    const job = { source: imageSource(rainy), sink, open, crop: model.manifest.crop, layout, tiling };
    const { plan, runs } = await runTiles(job);
    const { window, thumbnail } = plan;
    const pixels =
      (runs - (thumbnail ? 1 : 0)) * window.width * window.height +
      (thumbnail ? thumbnail.width * thumbnail.height : 0);
    const result = luma(sink.image);
    if (tiling.mode === 'whole') whole = result;
    add({
      photo: file,
      way,
      psnr: psnr(result, truth),
      work: pixels / (plan.width * plan.height),
      seam: seamFigure(result, plan),
      ...(whole && tiling.mode !== 'whole' && { toWhole: psnr(result, whole), seamOfWhole: seamFigure(whole, plan) }),
    });
    if (args.pictures)
      await savePicture(sink.image, join(args.pictures, `${file}-${way.replaceAll(/[^a-z0-9]+/g, '-')}.png`));
  }
}
for (const session of held) await session.dispose();
await runtime.dispose();
if (args.json) await writeFile(args.json, `${JSON.stringify(rows, undefined, 1)}\n`);
process.stdout.write(table(rows));

async function savePicture({ width, height, data }: PixelImage, path: string): Promise<void> {
  await sharp(data as Uint8Array, { raw: { width, height, channels: 3 } })
    .png()
    .toFile(path);
}

/** BT.601 luma as MATLAB's rgb2ycbcr has it, 16…235: what deraining papers measure on. */
function luma({ data, width, height }: PixelImage): Float32Array {
  const out = new Float32Array(width * height);
  for (let i = 0; i < out.length; i++) {
    out[i] = 16 + (65.481 * data[3 * i]! + 128.553 * data[3 * i + 1]! + 24.966 * data[3 * i + 2]!) / 255;
  }
  return out;
}

function psnr(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i]! - b[i]!) ** 2;
  return 10 * Math.log10(255 ** 2 / (sum / a.length));
}

/**
 * Mean |jump of the gradient| across the plan's borders over its mean elsewhere: 1 where a border is like any other
 * place. Along a row the jump at x is |(I[x]−I[x−1]) − ((I[x−1]−I[x−2]) + (I[x+1]−I[x]))/2|; columns likewise. Borders
 * are where one window's say begins, where the other's ends, and the middle between.
 */
function seamFigure(luma: Float32Array, plan: Plan): number | undefined {
  const { width, height } = plan;
  const sums = { border: 0, inner: 0, borders: 0, inners: 0 };
  const gather = (axis: Axis, length: number, other: number, step: number, across: number) => {
    const borders = new Set(axis.seams.flatMap(({ start, end }) => [start, (start + end) / 2, end]));
    for (let p = 2; p < length - 1; p++) {
      let sum = 0;
      for (let q = 0; q < other; q++) {
        const i = p * step + q * across;
        const at = (k: number) => luma[i + k * step]!;
        sum += Math.abs(at(0) - at(-1) - (at(-1) - at(-2) + at(1) - at(0)) / 2);
      }
      if (borders.has(p)) {
        sums.border += sum;
        sums.borders += other;
      } else {
        sums.inner += sum;
        sums.inners += other;
      }
    }
  };
  gather(plan.columns, width, height, 1, width);
  gather(plan.rows, height, width, width, 1);
  return sums.borders > 0 ? sums.border / sums.borders / (sums.inner / sums.inners) : undefined;
}

function table(rows: readonly Row[]): string {
  const photos = new Set(rows.map(({ photo }) => photo));
  const head = `${photos.size} photos\n\n| way | PSNR to ground truth | to the whole's | seam figure | the whole's there | work |\n|---|---|---|---|---|---|\n`;
  const mean = (values: readonly (number | undefined)[]) => {
    const known = values.filter((value) => value !== undefined);
    return known.length > 0 ? known.reduce((a, b) => a + b, 0) / known.length : undefined;
  };
  const show = (value: number | undefined, digits: number) => value?.toFixed(digits) ?? '–';
  const line = (way: string) => {
    const of = rows.filter((row) => row.way === way);
    const column = (key: 'psnr' | 'toWhole' | 'seam' | 'seamOfWhole' | 'work', digits: number) =>
      show(mean(of.map((row) => row[key])), digits);
    return `| ${way} | ${column('psnr', 2)} | ${column('toWhole', 1)} | ${column('seam', 3)} | ${column('seamOfWhole', 3)} | ${column('work', 2)} |\n`;
  };
  return head + ['input', ...ways.map(([name]) => name)].map(line).join('');
}

function byNumber(a: string, b: string): number {
  return Number.parseInt(a, 10) - Number.parseInt(b, 10) || a.localeCompare(b);
}
