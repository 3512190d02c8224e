/**
 * What each way of tiling costs: seconds a megapixel and the peak resident memory of a process that restores one JPEG from
 * file to file, as `restoreFile` does it. Each way has a process of its own, since the peak is the process's. Method and
 * results: bench/README.md, docs/tiling.md.
 *
 *   node --conditions=@elfin/source bench/modes.ts --photo FILE [--megapixels 1] [--models derain-lw,elf] [--engines node,wasm]
 *     [--ways local,global:1,whole] [--tile N] [--threads N] [--progress]
 */
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Progress, TilingMode, TilingOptions } from '@elfin/core';
import { createNodeRuntime, createRestorer } from '@elfin/core/node';
import { createWebRuntime } from '@elfin/core/web-runtime';
import { createModels } from '@elfin/models/node';
import sharp from 'sharp';
import { openModel } from './models.ts';
import { enlargedJpeg } from './photos.ts';

const { values: args } = parseArgs({
  options: {
    photo: { type: 'string' },
    megapixels: { type: 'string', default: '1' },
    models: { type: 'string', default: 'derain-lw,elf' },
    engines: { type: 'string', default: 'node,wasm' },
    ways: { type: 'string', default: 'local,global:1,whole' },
    tile: { type: 'string' },
    threads: { type: 'string', default: `${availableParallelism()}` },
    progress: { type: 'boolean', default: false },
    // How the program calls itself.
    make: { type: 'string' },
    restore: { type: 'string' },
  },
});
if (!args.photo) throw new Error('Say where the photo is: --photo FILE');
if (args.make) await writeFile(args.make, await enlargedJpeg(args.photo, Number(args.megapixels) * 1e6));
else if (args.restore) await restore(args.photo, args.restore);
else await compare(args.photo);

interface Cost {
  readonly window: string;
  readonly runs: number;
  readonly seconds: number;
  /** Of the processor, over all threads: neighbours on a shared machine disturb it less. */
  readonly processor: number;
  readonly peakMiB: number;
}

/** One process a way, in turn. */
async function compare(photo: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'elfin-bench-'));
  try {
    const jpeg = join(folder, 'photo.jpg');
    again('--photo', photo, '--make', jpeg, '--megapixels', args.megapixels);
    const { width, height } = await sharp(jpeg).metadata();
    const megapixels = (width * height) / 1e6;
    process.stdout.write(`${width}×${height}, ${args.threads} thread(s)\n\n`);
    process.stdout.write(
      '| engine | model | way | window | runs | s a megapixel | processor s | peak MiB |\n|---|---|---|---|---|---|---|---|\n',
    );
    for (const engine of args.engines.split(',')) {
      for (const model of args.models.split(',')) {
        for (const way of args.ways.split(',')) {
          const shared = ['--photo', jpeg, '--restore', way, '--threads', args.threads];
          const rest = [...(args.tile ? ['--tile', args.tile] : []), ...(args.progress ? ['--progress'] : [])];
          const cost = JSON.parse(again(...shared, '--engines', engine, '--models', model, ...rest)) as Cost;
          const each = [cost.seconds, cost.processor].map((seconds) => (seconds / megapixels).toFixed(2)).join(' | ');
          process.stdout.write(
            `| ${engine} | ${model} | ${way} | ${cost.window} | ${cost.runs} | ${each} | ${cost.peakMiB} |\n`,
          );
        }
      }
    }
  } finally {
    await rm(folder, { recursive: true });
  }
}

function again(...rest: readonly string[]): string {
  const child = spawnSync(process.execPath, [...process.execArgv, fileURLToPath(import.meta.url), ...rest], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (child.status !== 0) throw new Error(`${rest.join(' ')} ended with ${child.status ?? child.signal}.`);
  return child.stdout;
}

async function restore(jpeg: string, way: string): Promise<void> {
  const [mode, passes] = way.split(':') as [TilingMode, string | undefined];
  const tiling: TilingOptions = {
    mode,
    ...(passes !== undefined && { passes: Number(passes) }),
    ...(args.tile && { tile: Number(args.tile) }),
  };
  const threads = Number(args.threads);
  const runtime =
    args.engines === 'wasm'
      ? createWebRuntime({ device: 'wasm', threads, ort: () => import('onnxruntime-web') })
      : createNodeRuntime({ device: 'cpu', threads });
  const model = await openModel(args.models);
  const peak = () => Math.round(process.resourceUsage().maxRSS / 1024);
  const begun = performance.now();
  const since = () => (performance.now() - begun) / 1000;
  let tenth = 0;
  const onProgress = ({ phase, tile, tiles, fraction }: Progress) => {
    if (!args.progress || Math.floor(fraction * 10) === tenth) return;
    tenth = Math.floor(fraction * 10);
    process.stderr.write(`${phase} ${tile}/${tiles} after ${since().toFixed(0)} s, peak ${peak()} MiB\n`);
  };
  await using restorer = createRestorer({ models: createModels(), runtime });
  const options = { task: model.manifest.task, model, tiling, onProgress, force: true, quality: 90 };
  const { report } = await restorer.restoreFile(jpeg, `${jpeg}.restored.jpg`, options);
  if (report.task === 'none') throw new Error('Nothing was restored.');
  const { window, runs } = report;
  const { user, system } = process.cpuUsage();
  const cost: Cost = {
    window: `${window.width}×${window.height}`,
    runs,
    seconds: since(),
    processor: (user + system) / 1e6,
    peakMiB: peak(),
  };
  process.stdout.write(JSON.stringify(cost));
  // onnxruntime-web has no way to end its threads.
  await restorer.dispose();
  process.exit();
}
