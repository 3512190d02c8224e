// Builds the Lambda package into dist/package: one bundle a handler (upload, edge), the models, and the two native modules pruned to Linux.
// Run: npm run build -w apps/lambda [-- --arch arm64]
import { existsSync } from 'node:fs';
import { access, cp, mkdir, readdir, rm, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { CATALOGUE } from '@elfin/models/node';
import { build } from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
const { values } = parseArgs({ options: { arch: { type: 'string', default: process.arch }, out: { type: 'string' } } });
const out = values.out ?? join(here, 'dist', 'package');
const { arch } = values;
if (arch !== 'x64' && arch !== 'arm64') throw new Error(`--arch is x64 or arm64, not ${arch}.`);

/** A package's folder, wherever npm put it. */
function folderOf(name: string): string {
  const folders = createRequire(import.meta.url).resolve.paths(name) ?? [];
  const found = folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
  if (found) return found;
  throw new Error(`${name} is not installed; for another architecture: npm install --os=linux --cpu=${arch} sharp`);
}

await rm(out, { recursive: true, force: true });
await mkdir(join(out, 'handler'), { recursive: true });
await build({
  entryPoints: ['upload', 'edge'].map((name) => join(here, 'src', `${name}.ts`)),
  // One folder deep: the models lie beside it, where their URLs, relative to the code, lead.
  outdir: join(out, 'handler'),
  outExtension: { '.js': '.mjs' },
  bundle: true,
  platform: 'node',
  target: 'node22',
  format: 'esm',
  conditions: ['@elfin/source'],
  external: ['onnxruntime-node', 'sharp'],
  minifySyntax: true,
  legalComments: 'linked',
  // Dependencies that are CommonJS ask for Node's own modules.
  banner: {
    js: "import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);",
  },
});

for (const files of Object.values(CATALOGUE)) {
  for (const url of [files.manifest, files.weights]) {
    const path = fileURLToPath(url);
    await cp(path, join(out, path.split('/').slice(-2).join('/')));
  }
}

const modules = join(out, 'node_modules');
for (const name of [
  'sharp',
  'detect-libc',
  'semver',
  '@img/colour',
  `@img/sharp-linux-${arch}`,
  `@img/sharp-libvips-linux-${arch}`,
  'onnxruntime-common',
]) {
  await cp(folderOf(name), join(modules, name), { recursive: true, dereference: true });
}
// ONNX Runtime ships every system's binaries: 288 MB. Lambda takes 250 MB unzipped, all in all.
const ort = folderOf('onnxruntime-node');
for (const part of ['package.json', 'dist'])
  await cp(join(ort, part), join(modules, 'onnxruntime-node', part), { recursive: true });
for (const api of await readdir(join(ort, 'bin'))) {
  const binaries = join('bin', api, 'linux', arch);
  await access(join(ort, binaries));
  await cp(join(ort, binaries), join(modules, 'onnxruntime-node', binaries), { recursive: true });
}

const sizes = await Promise.all(
  (await readdir(out, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map(async (entry) => (await stat(join(entry.parentPath, entry.name))).size),
);
const total = sizes.reduce((sum, size) => sum + size, 0);
console.log(`${out}: ${sizes.length} files, ${(total / 1e6).toFixed(1)} MB unzipped for linux/${arch}`);
