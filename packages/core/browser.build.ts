import { fileURLToPath } from 'node:url';
import type { BuildOptions } from 'esbuild';

const source = (name: string) => fileURLToPath(new URL(`src/${name}`, import.meta.url));

/** Entries that browsers load without a bundler: each one file that imports nothing but, when it needs it, onnxruntime-web. */
export const BROWSER_ENTRIES = ['web', 'web-worker', 'element'] as const;

/** How they are built, by the package's build and by the tests alike. */
export const browserBuild: BuildOptions = {
  entryPoints: Object.fromEntries(BROWSER_ENTRIES.map((name) => [name, source(`${name}.ts`)])),
  bundle: true,
  splitting: false,
  format: 'esm',
  platform: 'browser',
  target: 'es2022',
  minify: true,
  // Comments are dropped, those that bundlers read among them; they are put back by `banner` of the import below.
  legalComments: 'none',
  conditions: ['@elfin/source'],
  external: ['onnxruntime-web/*'],
};
