/**
 * UpscalerJS with its MAXIM-deraining model in the same Chromium on the same photo. It is installed by hand, in a folder of
 * its own: npm install upscaler@1.0.0 @upscalerjs/maxim-deraining@0.1.0 @tensorflow/tfjs@4.11.0 @tensorflow/tfjs-backend-wasm@4.11.0
 *
 *     node --conditions=@elfin/source bench/browser/upscalerjs.ts --peer FOLDER [--backend cpu|wasm|webgl] [--side 64] [--patch 64] [--limit SECONDS] [--out PNG]
 *
 * TensorFlow.js' wasm lacks one operator that the model needs, Einsum: this page adds it, out of reshapes and matrix products.
 * `--side` cuts a square out of the photo's middle; without it the whole photo is restored. `--patch`: in patches of this side, 256 without `--side`.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { seamStrength } from '@elfin/core/metrics';
import { build } from 'esbuild';
import sharp from 'sharp';
import { describe, type Smoothness, visit } from './visit.ts';

const { values } = parseArgs({
  options: {
    peer: { type: 'string' },
    backend: { type: 'string', default: 'wasm' },
    side: { type: 'string' },
    patch: { type: 'string' },
    out: { type: 'string' },
    limit: { type: 'string', default: '220' },
  },
});
const { peer, backend, side, limit } = values;
const patch = Number(values.patch ?? (side ? 0 : 256));
if (!peer) throw new Error('--peer FOLDER: where UpscalerJS is installed (see the first lines of this file).');
const modules = join(peer, 'node_modules');
const entry = join(peer, 'elfin-bench.js');
await writeFile(
  entry,
  `import * as tf from '@tensorflow/tfjs';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import Upscaler from 'upscaler';
import model from '@upscalerjs/maxim-deraining';
tf.registerKernel({
  kernelName: 'Einsum',
  backendName: 'wasm',
  kernelFunc: ({ inputs, attrs }) =>
    tf.tidy(() => {
      const [a, b] = Object.values(inputs);
      const [left, right, out] = attrs.equation.split(/,|->/).map((letters) => [...letters]);
      // The three equations of the model: one letter is summed, none is common to all.
      const summed = left.find((letter) => right.includes(letter));
      const rows = left.filter((letter) => letter !== summed);
      const columns = right.filter((letter) => letter !== summed);
      const size = (letter) => (left.includes(letter) ? a.shape[left.indexOf(letter)] : b.shape[right.indexOf(letter)]);
      const order = (letters, wanted) => wanted.map((letter) => letters.indexOf(letter));
      const product = tf.matMul(
        a.transpose(order(left, [...rows, summed])).reshape([-1, size(summed)]),
        b.transpose(order(right, [summed, ...columns])).reshape([size(summed), -1]),
      );
      const found = [...rows, ...columns];
      return product.reshape(found.map(size)).transpose(order(found, out));
    }),
});
window.restore = async (backend, side, patch) => {
  const begun = performance.now();
  setWasmPaths('/wasm/');
  if (!(await tf.setBackend(backend))) throw new Error('TensorFlow.js refuses the backend');
  const definition = typeof model === 'function' ? model() : model;
  const upscaler = new Upscaler({ model: { ...definition, path: '/models/model.json' } });
  await upscaler.ready;
  const loaded = performance.now();
  const photo = new Image();
  photo.src = '/photos/rainy.jpg';
  await photo.decode();
  let input = tf.browser.fromPixels(photo);
  if (side) input = input.slice([Math.floor((photo.height - side) / 2), Math.floor((photo.width - side) / 2), 0], [side, side, 3]);
  // The page gets its turn before and after, so that a gap between frames has two ends.
  const pause = () => new Promise((resolve) => setTimeout(resolve, 100));
  const stop = window.watch();
  await pause();
  const started = performance.now();
  const out = await upscaler.upscale(input, { output: 'tensor', ...(patch ? { patchSize: patch, padding: patch / 16 } : {}) });
  const data = await out.clipByValue(0, 255).round().toInt().data();
  const run = performance.now() - started;
  await pause();
  return { load: loaded - begun, run, smooth: stop(), width: out.shape.at(-2), height: out.shape.at(-3), data: [...data] };
};
window.ready = true;`,
);
await build({
  entryPoints: [entry],
  outfile: join(peer, 'elfin-bench.bundle.js'),
  bundle: true,
  format: 'esm',
  minify: true,
  logLevel: 'error',
});
const wasm = join(modules, '@tensorflow/tfjs-backend-wasm');
const folders = {
  '/': [peer],
  '/wasm/': [join(wasm, 'wasm-out'), join(wasm, 'dist')],
  '/models/': [join(modules, '@upscalerjs/maxim-deraining/models')],
  '/photos/': [fileURLToPath(new URL('../../packages/cli/assets', import.meta.url))],
};

interface Result {
  readonly load: number;
  readonly run: number;
  readonly smooth: Smoothness;
  readonly width: number;
  readonly height: number;
  readonly data: number[];
}

const { value, bytes, memory } = await visit(folders, "import '/elfin-bench.bundle.js'", (page) =>
  Promise.race([
    page.evaluate(
      ([name, square, piece]) =>
        (window as unknown as { restore(backend: string, side: number, patch: number): Promise<Result> })
          .restore(name, square, piece)
          .catch((error: Error) => `failed: ${error.message}`),
      [backend, Number(side ?? 0), patch] as const,
    ),
    new Promise<string>((resolve) => setTimeout(resolve, Number(limit) * 1000, `not done after ${limit} s`)),
  ]),
);
const megabytes = (count: number) => `${(count / 1e6).toFixed(1)} MB`;
const what = side ? `${side}×${side}` : 'the whole photo';
if (typeof value === 'string') console.log(`${backend}, ${what}: ${value}`);
else {
  const { load, run, smooth, width, height, data } = value;
  console.log(`${backend}, ${what}: loaded in ${(load / 1000).toFixed(2)} s, restored in ${(run / 1000).toFixed(2)} s`);
  const image = { width, height, channels: 3, data: Uint8Array.from(data) } as const;
  if (values.out) await sharp(image.data, { raw: { width, height, channels: 3 } }).toFile(values.out);
  const lines = (length: number) => Array.from({ length: Math.ceil(length / patch) - 1 }, (_, i) => (i + 1) * patch);
  if (patch)
    console.log(`  seam figure ${seamStrength(image, { columns: lines(width), rows: lines(height) }).toFixed(3)}`);
  console.log(`  ${describe(smooth)}`);
}
console.log(
  `  downloaded ${megabytes(bytes)}, peak memory: page ${megabytes(memory.renderer)}, GPU process ${megabytes(memory.gpu)}`,
);
process.exit(0);
