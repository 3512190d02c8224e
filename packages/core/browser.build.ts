import { fileURLToPath } from 'node:url';
import { type BuildOptions, build } from 'esbuild';

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** Entries that browsers load without a bundler: each one file that imports nothing but, when it needs it, onnxruntime-web. */
export const BROWSER_ENTRIES = ['web', 'web-worker', 'element'] as const;

/** How they are built, by the package's build, the demo and the tests alike. */
export const browserBuild: BuildOptions = {
  entryPoints: Object.fromEntries(BROWSER_ENTRIES.map((name) => [name, here(`src/${name}.ts`)])),
  bundle: true,
  splitting: false,
  format: 'esm',
  platform: 'browser',
  target: 'es2022',
  minify: true,
  // Licences stand in NOTICE. Comments that bundlers read stay all the same.
  legalComments: 'none',
  conditions: ['@elfin/source'],
  external: ['onnxruntime-web/*'],
};

if (import.meta.main) await build({ ...browserBuild, outdir: here('dist'), sourcemap: true });
