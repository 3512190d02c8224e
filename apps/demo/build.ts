import { createHash } from 'node:crypto';
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
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

/** Builds the page into a folder that any static server can serve; returns the models that are in it. */
export async function buildDemo(out = here('dist')): Promise<readonly string[]> {
  await rm(out, { recursive: true, force: true });
  await mkdir(`${out}/elfin/models`, { recursive: true });
  const models = (await readdir(here('../../packages/models'))).filter((name) => /^[a-z]+-(lw|full)$/.test(name));
  const ort = fileURLToPath(new URL('.', import.meta.resolve('onnxruntime-web/ort-wasm-simd-threaded.wasm')));
  await Promise.all([
    bundle(fileURLToPath(import.meta.resolve('@elfin/core/web-worker')), `${out}/elfin`),
    bundle(here('src/app.ts'), out, { MODELS: JSON.stringify(models) }),
    bundle(here('src/service-worker.ts'), out),
    cp(here('public'), out, { recursive: true }),
    cp(here('../../packages/cli/assets/rainy.jpg'), `${out}/sample.jpg`),
    cp(here('../../docs/images/before-after.jpg'), `${out}/before-after.jpg`),
    ...ORT.map((name) => cp(`${ort}${name}`, `${out}/elfin/${name}`)),
    ...models.map((name) =>
      cp(here(`../../packages/models/${name}`), `${out}/elfin/models/${name}`, { recursive: true }),
    ),
  ]);
  await stampServiceWorker(out);
  return models;
}

function bundle(entry: string, outdir: string, define: Record<string, string> = {}): Promise<unknown> {
  return build({
    entryPoints: [entry],
    outdir,
    define,
    bundle: true,
    format: 'esm',
    minify: true,
    target: 'es2022',
    conditions: ['@elfin/source'],
    external: ['onnxruntime-web/*'],
    logLevel: 'warning',
  });
}

/** The worker's cache is named after what is in the page, so that a new build replaces the old one. */
async function stampServiceWorker(out: string): Promise<void> {
  const hash = createHash('sha256');
  for (const name of ['index.html', 'app.js', 'style.css', 'elfin/web-worker.js'])
    hash.update(await readFile(`${out}/${name}`));
  const file = `${out}/service-worker.js`;
  const text = await readFile(file, 'utf8');
  await writeFile(file, text.replace('BUILD', hash.digest('hex').slice(0, 12)));
}

if (import.meta.main) await buildDemo();
