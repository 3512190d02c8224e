/**
 * What tiling costs in picture quality: PSNR to ground truth and to the whole image's output, and a figure for seams, for
 * each way of tiling, with the bundled weights. Writes its tables into docs/tiling.md, or prints them.
 *
 *   node --conditions=@elfin/source bench/tiling.ts --photos DIR [--rain DIR] [--dark DIR] [--update] [--threads N]
 *     [--model derain-lw] [--only NAME,…] [--ways WAY,…] [--limit N] [--pictures DIR]
 *
 * `--photos` holds clean photos. `--rain` and `--dark` hold pairs, input/ and target/, as `python -m training.evaluate --task
 * derain|lowlight --set heavy --write DIR` leaves them; without them their tables are left out, and with `--update` as they were.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { PixelImage } from '@elfin/core';
import { psnr } from '@elfin/core/metrics';
import { createNodeRuntime } from '@elfin/core/node';
import { openModel } from './models.ts';
import { readPhoto, savePhoto } from './photos.ts';
import { addRain } from './rain.ts';
import { markdownTable, replaceSection } from './table.ts';
import { createMeasurer, type Figures, WAYS } from './tiling-measure.ts';

const { values: args } = parseArgs({
  options: {
    photos: { type: 'string' },
    rain: { type: 'string' },
    dark: { type: 'string' },
    update: { type: 'boolean', default: false },
    threads: { type: 'string' },
    model: { type: 'string', default: 'derain-lw' },
    only: { type: 'string' },
    ways: { type: 'string' },
    limit: { type: 'string', default: '6' },
    pictures: { type: 'string' },
  },
});
if (!args.photos) throw new Error('Say where clean photos are: --photos DIR');
const DOCS = fileURLToPath(new URL('../docs/tiling.md', import.meta.url));

/** `whole` first: the others are held against it. */
const ways = args.ways?.split(',') ?? Object.keys(WAYS);
const odd = ways.find((way) => !Object.hasOwn(WAYS, way));
if (odd !== undefined) throw new Error(`${odd} is no way of tiling: ${Object.keys(WAYS).join(', ')}.`);

interface Pair {
  readonly name: string;
  readonly clean: PixelImage;
  readonly degraded: PixelImage;
}

interface PhotoSet {
  /** Its section in docs/tiling.md. */
  readonly name: string;
  readonly model: string;
  readonly pairs: () => AsyncIterable<Pair>;
}

const sets: PhotoSet[] = [
  { name: 'streaks', model: args.model, pairs: () => inRain(args.photos!, Number(args.limit), { scale: 1, size: 1 }) },
  { name: 'large', model: args.model, pairs: () => inRain(args.photos!, 1, { scale: 3, size: 2 }) },
];
if (args.rain) sets.push({ name: 'rain', model: args.model, pairs: () => pairsIn(args.rain!) });
if (args.dark) sets.push({ name: 'dark', model: 'lowlight-lw', pairs: () => pairsIn(args.dark!) });

const runtime = createNodeRuntime({ device: 'cpu', ...(args.threads && { threads: Number(args.threads) }) });
for (const set of sets) {
  if (args.only && !args.only.split(',').includes(set.name)) continue;
  const table = await tableOf(set);
  if (args.update) await replaceSection(DOCS, set.name, table);
  else process.stdout.write(`${set.name}\n\n${table}\n`);
}
await runtime.dispose();

async function tableOf({ name, model: modelName, pairs }: PhotoSet): Promise<string> {
  const model = await openModel(modelName);
  const measurer = await createMeasurer(model, runtime);
  const rows = new Map<string, Figures[]>(['input', ...ways].map((way) => [way, []]));
  const photos: string[] = [];
  for await (const { name: photo, clean, degraded } of pairs()) {
    photos.push(photo);
    const keep = async (way: string, { image, ...figures }: Figures & { readonly image: PixelImage }) => {
      rows.get(way)!.push(figures);
      process.stderr.write(`${name} ${photo} ${way} ${JSON.stringify(figures)}\n`);
      const file = `${name}-${photo}-${way.replaceAll(/[^a-z0-9]+/g, '-')}.png`;
      if (args.pictures) await savePhoto(image, join(args.pictures, file));
    };
    await keep('input', { image: degraded, psnr: psnr(degraded, clean) });
    let whole: PixelImage | undefined;
    for (const way of ways) {
      const figures = await measurer.measure(degraded, clean, way, whole);
      if (way === 'whole') whole = figures.image;
      await keep(way, figures);
    }
  }
  await measurer.dispose();
  if (photos.length === 0) throw new Error(`There are no photos for the set ${name}.`);
  const head = ['way', 'PSNR to ground truth', "to the whole's", 'seam figure', "the whole's there", 'work'];
  const body = [...rows].map(([way, figures]) => {
    const column = (key: keyof Figures, digits: number) => mean(figures.map((row) => row[key]))?.toFixed(digits) ?? '';
    return [
      way,
      column('psnr', 2),
      column('toWhole', 1),
      column('seam', 3),
      column('seamOfWhole', 3),
      column('work', 2),
    ];
  });
  return `${markdownTable([head, ...body])}\n\`${model.name}\`; photos ${photos.join(', ')}.\n`;
}

async function* inRain(folder: string, limit: number, { scale, size }: { scale: number; size: number }) {
  // Not the first few: they are all of one kind in the usual order of Kodak's.
  const chosen = (await photosIn(folder)).filter((_, i) => i % 4 === 0).slice(0, limit);
  for (const name of chosen) {
    const clean = await readPhoto(join(folder, name), scale);
    yield { name, clean, degraded: addRain(clean, { seed: Number.parseInt(name, 10) || 1, size }) };
  }
}

async function* pairsIn(folder: string) {
  for (const name of (await photosIn(join(folder, 'input'))).slice(0, Number(args.limit))) {
    yield {
      name,
      clean: await readPhoto(join(folder, 'target', name)),
      degraded: await readPhoto(join(folder, 'input', name)),
    };
  }
}

async function photosIn(folder: string): Promise<string[]> {
  const names = (await readdir(folder)).filter((name) => /\.(png|jpe?g)$/i.test(name));
  return names.sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10) || a.localeCompare(b));
}

function mean(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined);
  return known.length > 0 ? known.reduce((a, b) => a + b, 0) / known.length : undefined;
}
