import { cp, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { browserBuild } from '../../packages/core/browser.build.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** An app's folder in which `@elfin/core` and `@elfin/models` are installed as published: built files, no sources. */
export async function installElfin(): Promise<AsyncDisposable & { readonly folder: string }> {
  const cache = join(ROOT, 'node_modules/.cache/elfin');
  await mkdir(cache, { recursive: true });
  const folder = await mkdtemp(join(cache, 'app-'));
  const core = join(folder, 'node_modules/@elfin/core');
  const models = join(folder, 'node_modules/@elfin/models');
  await build({ ...browserBuild, outdir: join(core, 'dist'), logLevel: 'silent' });
  const plain = { bundle: true, format: 'esm', packages: 'external', logLevel: 'silent' } as const;
  await build({ ...plain, entryPoints: [join(ROOT, 'packages/core/src/index.ts')], outdir: join(core, 'dist') });
  await build({ ...plain, entryPoints: [join(ROOT, 'packages/models/src/index.ts')], outdir: join(models, 'dist') });
  for (const name of ['core', 'models']) {
    await cp(join(ROOT, 'packages', name, 'package.json'), join(folder, `node_modules/@elfin/${name}/package.json`));
  }
  await cp(join(ROOT, 'packages/models/derain-lw'), join(models, 'derain-lw'), { recursive: true });
  return { folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
}

/** The one block of code in a page of documentation that follows `heading`. */
export async function codeUnder(page: string, heading: string): Promise<string> {
  const text = await readFile(join(ROOT, page), 'utf8');
  const found = text.split(`## ${heading}\n`)[1]?.match(/```(?:js|ts|html)\n([\s\S]*?)```/)?.[1];
  if (found === undefined) throw new Error(`${page} has no code under "${heading}".`);
  return found;
}
