import { readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { unshareMemory } from '@elfin/core/workerd';
import { build, type Plugin } from 'esbuild';

const require = createRequire(import.meta.url);

/**
 * onnxruntime-web's wasm is not in its export map under the name that the Worker imports; its memory is unshared on the
 * way, which an isolate with one thread wants.
 */
const ort: Plugin = {
  name: 'ort',
  setup(bundler) {
    bundler.onResolve({ filter: /ort-wasm-simd-threaded\.wasm$/ }, () => ({
      path: require.resolve('onnxruntime-web/ort-wasm-simd-threaded.wasm'),
      namespace: 'ort',
    }));
    bundler.onLoad({ filter: /.*/, namespace: 'ort' }, async ({ path }) => ({
      contents: unshareMemory(await readFile(path)),
      loader: 'copy',
    }));
  },
};

/** `worker` answers URLs, `uploads` consumes R2's notifications; each has a folder of its own, all of which is uploaded. */
const ENTRIES: Readonly<Record<string, readonly [from: string, to: string]>> = {
  worker: ['src/index.ts', 'dist/worker.js'],
  uploads: ['src/uploads.ts', 'uploads/dist/uploads.js'],
};
const [name = 'worker'] = process.argv.slice(2);
const entry = Object.hasOwn(ENTRIES, name) ? ENTRIES[name] : undefined;
if (!entry) throw new Error(`There is no Worker "${name}": ${Object.keys(ENTRIES).join(', ')}.`);

const outfile = fileURLToPath(new URL(entry[1], import.meta.url));
// All that lies in the folder is uploaded, and names change with what they hold.
await rm(dirname(outfile), { recursive: true, force: true });

/** Bundles the Worker from source into `dist/`, its wasm and weights beside it. `wrangler` runs this by itself. */
await build({
  entryPoints: [fileURLToPath(new URL(entry[0], import.meta.url))],
  outfile,
  bundle: true,
  format: 'esm',
  target: 'es2023',
  minify: true,
  keepNames: true,
  legalComments: 'none',
  conditions: ['@elfin/source', 'workerd', 'worker', 'browser'],
  external: ['cloudflare:*', 'node:*'],
  loader: { '.wasm': 'copy', '.safetensors': 'copy' },
  assetNames: '[name]-[hash]',
  plugins: [ort],
  logLevel: 'warning',
});
