import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig, type Options } from 'tsup';
import { BROWSER_ENTRIES } from './packages/core/browser.build.ts';

// Bundles each package's entries, read from its `exports` (and the CLI's bin). Declarations are tsc's work, and what pages load
// without a bundler is packages/core/browser.build.ts's: `npm run build`.
const packages = ['core', 'storage', 'models', 'edge', 'plugins', 'cli'];

function entries(folder: string): Record<string, string> {
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const exported = Object.values<string | Record<string, string>>(manifest.exports ?? {});
  const pairs = exported.flatMap((target) =>
    typeof target === 'object' && target['@elfin/source'] && target.default && !forPages(target['@elfin/source'])
      ? [[target.default.replace('./dist/', '').replace(/\.js$/, ''), join(folder, target['@elfin/source'])]]
      : [],
  );
  // A command's bin loads the bundle of its main file.
  if (manifest.bin) pairs.push(['main', join(folder, 'src/main.ts')]);
  return Object.fromEntries(pairs);
}

const forPages = (source: string) => BROWSER_ENTRIES.some((name) => source === `./src/entries/${name}.ts`);

/** How one package is bundled into `outDir`. */
export function packageBuild(name: string, outDir: string): Options {
  return {
    name,
    entry: entries(join(import.meta.dirname, 'packages', name)),
    outDir,
    format: 'esm',
    platform: 'neutral',
    target: 'es2022',
    splitting: true,
    sourcemap: true,
    clean: true,
    dts: false,
    skipNodeModulesBundle: true,
    external: [/^@elfin\//, /^node:/],
  };
}

export default defineConfig(packages.map((name) => packageBuild(name, `packages/${name}/dist`)));
