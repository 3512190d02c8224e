import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig } from 'tsup';

// Bundles each package's entries, read from its `exports` (and the CLI's bin). Declarations are tsc's work: `npm run build`.
const packages = ['core', 'models', 'edge', 'plugins', 'cli'];

function entries(folder: string): Record<string, string> {
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const exported = Object.values<string | Record<string, string>>(manifest.exports ?? {});
  const pairs = exported.flatMap((target) =>
    typeof target === 'object' && target['@elfin/source'] && target.import
      ? [[target.import.replace('./dist/', '').replace(/\.js$/, ''), join(folder, target['@elfin/source'])]]
      : [],
  );
  // A command's bin loads the bundle of its main file.
  if (manifest.bin) pairs.push(['main', join(folder, 'src/main.ts')]);
  return Object.fromEntries(pairs);
}

export default defineConfig(
  packages.map((name) => {
    const folder = `packages/${name}`;
    return {
      name,
      entry: entries(folder),
      outDir: `${folder}/dist`,
      format: 'esm' as const,
      platform: 'neutral' as const,
      target: 'es2022',
      splitting: true,
      sourcemap: true,
      clean: true,
      dts: false,
      skipNodeModulesBundle: true,
      external: [/^@elfin\//, /^node:/],
    };
  }),
);
