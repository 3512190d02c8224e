import { fileURLToPath } from 'node:url';
import { type BuildOptions, build, type Plugin } from 'esbuild';

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** Entries that browsers load without a bundler; nothing of them is imported from elsewhere but, when needed, onnxruntime-web. */
export const BROWSER_ENTRIES = ['web', 'web-worker', 'element'] as const;

/** What the page and its worker both need: one file, where each would otherwise be one of its own that compresses badly. */
const COMMON =
  /\/(base\/(errors|data-url|lazy-import|bytes|sha256|tensor)|image\/(pixels|limits|codec)|model\/(manifest|models)|restore\/input|web\/(wire|bitmap))\.ts$/;

/** esbuild makes one chunk of what the same entries reach; so each of these reaches all of it, used or not. */
const joinCommon: Plugin = {
  name: 'join-common',
  setup(bundle) {
    const marked = { pluginData: 'marked' };
    bundle.onResolve({ filter: /\.ts$/ }, async ({ path, pluginData, ...from }) => {
      if (pluginData === 'marked') return undefined;
      const found = await bundle.resolve(path, { ...from, ...marked });
      return COMMON.test(found.path) || found.path.endsWith('/web/common.ts') ? { ...found, sideEffects: true } : found;
    });
  },
};

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
  plugins: [joinCommon],
  inject: [here('src/web/common.ts')],
};

if (import.meta.main) await build({ ...browserBuild, outdir: here('dist'), sourcemap: true });
