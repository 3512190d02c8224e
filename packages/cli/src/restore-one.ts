import { basename, dirname, extname, join } from 'node:path';
import type { EncodeOptions, OutputFormat, RestoreOptions } from '@elfin/core';
import { type createRestorer, loadSharpCodec } from '@elfin/core/node';
import { writeComparison, writeMap } from './compare.ts';
import type { Input } from './inputs.ts';
import { checkTarget, type Target, writeAtomically } from './outputs.ts';
import { readStdin, writeStdout } from './stdio.ts';
import type { Outcome } from './verbs/restore.ts';

export interface Wishes {
  readonly options: RestoreOptions;
  readonly encoding: Omit<EncodeOptions, 'format' | 'metadata'>;
  readonly force: boolean;
  readonly compare: boolean;
  readonly map: boolean;
}

type Restorer = ReturnType<typeof createRestorer>;

/** One input to its target, with the pictures that were asked for beside it. Everything is checked before work begins. */
export async function restoreOne(restorer: Restorer, input: Input, target: Target, wishes: Wishes): Promise<Outcome> {
  const extras = extrasOf(target, wishes);
  for (const path of [target.path, ...Object.values(extras)]) {
    if (path !== '-' && path !== undefined) await checkTarget(path, wishes);
  }
  const codec = await loadSharpCodec();
  const source = input.path === '-' ? await readStdin(wishes.options.limits?.bytes) : input.path;
  const restored = await restorer.restore(source, wishes.options);
  const format = target.format ?? writable(restored.header?.format);
  const bytes = await codec.encode(restored.image, { ...wishes.encoding, format, metadata: restored.metadata });
  if (target.path === '-') await writeStdout(bytes);
  else await writeAtomically(target.path, bytes);
  if (extras.comparison) await writeComparison(extras.comparison, source, bytes);
  if (extras.map) await writeMap(extras.map, restored.degradation());
  return { input: input.path, output: target.path, ...extras, report: restored.report };
}

function extrasOf({ path }: Target, { compare, map }: Wishes): { comparison?: string; map?: string } {
  if (path === '-') return {};
  const stem = join(dirname(path), basename(path, extname(path)));
  return { ...(compare && { comparison: `${stem}.compare.jpg` }), ...(map && { map: `${stem}.map.png` }) };
}

/** The source's own format where it can be written, else PNG, which loses nothing. */
function writable(format: string | undefined): OutputFormat {
  const formats: readonly OutputFormat[] = ['jpeg', 'png', 'webp', 'avif', 'tiff'];
  return formats.find((known) => known === format) ?? 'png';
}
