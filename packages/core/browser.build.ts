import { fileURLToPath } from 'node:url';
import { type BuildOptions, build } from 'esbuild';

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** Entries that browsers load without a bundler; nothing of them is imported from elsewhere but, when needed, onnxruntime-web. */
export const BROWSER_ENTRIES = ['web', 'web-worker', 'element'] as const;

/** How they are built, by the package's build, the demo and the tests alike. */
export const browserBuild: BuildOptions = {
  entryPoints: Object.fromEntries(BROWSER_ENTRIES.map((name) => [name, here(`src/entries/${name}.ts`)])),
  bundle: true,
  // What several share, and what only some images need, are files of their own in one folder beside the entries.
  splitting: true,
  chunkNames: 'browser/[name]-[hash]',
  format: 'esm',
  platform: 'browser',
  target: 'es2022',
  minify: true,
  // The licences of what is bundled stand in the package's NOTICE. Comments that bundlers read stay all the same.
  legalComments: 'none',
  conditions: ['@elfin/source'],
  external: ['onnxruntime-web/*'],
};

if (import.meta.main) await build({ ...browserBuild, outdir: here('dist'), sourcemap: true });
