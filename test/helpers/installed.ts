import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { build as bundle } from 'esbuild';
import { build } from 'tsup';
import { browserBuild } from '../../packages/core/browser.build.ts';
import { packageBuild } from '../../tsup.config.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const run = promisify(execFile);

/** An app's folder in which `@elfin/core` and `@elfin/models` are installed out of the tarballs that npm would publish. */
export async function installElfin(): Promise<AsyncDisposable & { readonly folder: string }> {
  const cache = join(ROOT, 'node_modules/.cache/elfin');
  await mkdir(cache, { recursive: true });
  const folder = await mkdtemp(join(cache, 'app-'));
  for (const name of ['core', 'models']) {
    const tarball = await packPackage(name, folder);
    const installed = join(folder, 'node_modules/@elfin', name);
    await mkdir(installed, { recursive: true });
    await run('tar', ['-xzf', tarball, '-C', installed, '--strip-components=1']);
  }
  await symlink(join(ROOT, 'node_modules/onnxruntime-web'), join(folder, 'node_modules/onnxruntime-web'), 'junction');
  return { folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
}

/** Builds a package as `npm run build` does, declarations excepted, beside the checkout's own, and packs it. */
async function packPackage(name: string, folder: string): Promise<string> {
  const staged = join(folder, 'staged', name);
  const checkout = join(ROOT, 'packages', name);
  const wanted = (path: string) => !/^(dist|node_modules)$/.test(path.slice(checkout.length + 1));
  await cp(checkout, staged, { recursive: true, filter: wanted });
  const dist = join(staged, 'dist');
  await build({ ...packageBuild(name, dist), config: false, silent: true });
  if (name === 'core') await bundle({ ...browserBuild, outdir: dist, logLevel: 'silent' });
  const { stdout } = await run('npm', ['pack', '--json', '--silent', '--pack-destination', folder], { cwd: staged });
  const packed = JSON.parse(stdout);
  const [{ filename }] = Array.isArray(packed) ? packed : (Object.values(packed) as [{ filename: string }]);
  return join(folder, filename.replace('@', '').replace('/', '-'));
}

/** A block of code, by its language, in a page of documentation behind `heading`. */
export async function codeUnder(page: string, heading: string, language: 'js' | 'html' | 'sh'): Promise<string> {
  const text = await readFile(join(ROOT, page), 'utf8');
  const section = text.split(`## ${heading}\n`)[1]?.split('\n## ')[0];
  const found = section?.match(new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``))?.[1];
  if (found === undefined) throw new Error(`${page} has no ${language} under "${heading}".`);
  return found;
}
