import { createHash } from 'node:crypto';
import { cp, mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const ORT = [
  'ort.webgpu.bundle.min.mjs',
  'ort.wasm.bundle.min.mjs',
  'ort-wasm-simd-threaded.asyncify.mjs',
  'ort-wasm-simd-threaded.asyncify.wasm',
  'ort-wasm-simd-threaded.mjs',
  'ort-wasm-simd-threaded.wasm',
];

/** Pictures of the model cards, which gained least of all. */
const FAILURES = {
  'fail-rain': 'derain-lw/failure-1.jpg',
  'fail-night': 'lowlight-lw/failure-1.jpg',
  'fail-sea': 'underwater-lw/failure-1.jpg',
};

/** Builds the page into a folder that any static server can serve; returns the models that are in it. */
export async function buildDemo(out = here('dist')): Promise<readonly string[]> {
  await rm(out, { recursive: true, force: true });
  await mkdir(`${out}/elfin/models`, { recursive: true });
  const models = (await readdir(here('../../packages/models'))).filter((name) => /^[a-z]+-(lw|full)$/.test(name));
  const ort = fileURLToPath(new URL('.', import.meta.resolve('onnxruntime-web/ort-wasm-simd-threaded.wasm')));
  const [worker, page] = await Promise.all([
    bundle(fileURLToPath(import.meta.resolve('@elfin/core/web-worker')), `${out}/elfin`),
    bundle(here('src/app.ts'), out),
    cp(here('public'), out, { recursive: true }),
    cp(here('../../packages/cli/assets/rainy.jpg'), `${out}/samples/rain.jpg`),
    cp(here('../../docs/images/before-after.jpg'), `${out}/before-after.jpg`),
    ...Object.entries(FAILURES).map(([name, file]) =>
      cp(here(`../../packages/models/${file}`), `${out}/gallery/${name}.jpg`),
    ),
    ...ORT.map((name) => cp(`${ort}${name}`, `${out}/elfin/${name}`)),
    ...models.flatMap((name) =>
      ['manifest.json', 'weights.safetensors'].map((file) =>
        cp(here(`../../packages/models/${name}/${file}`), `${out}/elfin/models/${name}/${file}`),
      ),
    ),
  ]);
  const parts = [...worker.map((file) => `elfin/${file}`), ...page.filter((file) => file !== 'app.js')].toSorted();
  const name = await digest(out);
  await bundle(here('src/service-worker.ts'), out, { BUILD: JSON.stringify(name), PARTS: JSON.stringify(parts) });
  return models;
}

/** Bundles into `outdir`; returns the files, relative to it: the entry, and what is loaded only when it is needed. */
async function bundle(entry: string, outdir: string, define: Record<string, string> = {}): Promise<readonly string[]> {
  const { metafile } = await build({
    entryPoints: [entry],
    outdir,
    define,
    bundle: true,
    splitting: true,
    chunkNames: 'browser/[name]-[hash]',
    metafile: true,
    absWorkingDir: outdir,
    format: 'esm',
    minify: true,
    target: 'es2022',
    conditions: ['@elfin/source'],
    external: ['onnxruntime-web/*'],
    logLevel: 'warning',
  });
  return Object.keys(metafile.outputs);
}

/** The service worker's cache is named after all that was built, weights and runtime too: a new build replaces the old one. */
async function digest(out: string): Promise<string> {
  const files = (await readdir(out, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  const hash = createHash('sha256');
  for (const path of files.map(({ parentPath, name }) => join(parentPath, name)).toSorted()) {
    hash.update(relative(out, path)).update(await readFile(path));
  }
  return hash.digest('hex').slice(0, 12);
}

if (import.meta.main) await buildDemo();
