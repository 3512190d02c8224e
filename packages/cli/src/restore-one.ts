import { mkdir } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { checkWritable, type EncodedOptions, type NodeRestorer, writeAtomically } from '@elfin/core/node';
import { writeComparison, writeMap } from './compare.ts';
import type { Input } from './inputs.ts';
import type { Target } from './outputs.ts';
import { readStdin, writeStdout } from './stdio.ts';
import type { Outcome } from './verbs/restore.ts';

/** What is to be done with one input. */
export interface Wishes {
  readonly options: EncodedOptions;
  readonly force: boolean;
  readonly compare: boolean;
  readonly map: boolean;
}

/**
 * One input to its target, with the pictures that were asked for beside it. That everything can be written is checked before
 * the work begins. Errors: those of `NodeRestorer.restoreEncoded`, OUTPUT_EXISTS, OUTPUT_UNWRITABLE.
 */
export async function restoreOne(
  restorer: NodeRestorer,
  input: Input,
  target: Target,
  wishes: Wishes,
): Promise<Outcome> {
  const extras = extrasOf(target, wishes);
  const files = [target.path, ...Object.values(extras)].filter((path) => path !== '-');
  for (const path of files) {
    // Where the folder cannot be made, the check below says why.
    await mkdir(dirname(path), { recursive: true }).catch(() => undefined);
    await checkWritable(path, wishes);
  }
  const source = input.path === '-' ? await readStdin(wishes.options.limits?.bytes) : input.path;
  const options = { ...wishes.options, ...(target.format && { format: target.format }) };
  const { bytes, report, degradation } = await restorer.restoreEncoded(source, options);
  if (target.path === '-') await writeStdout(bytes);
  else await writeAtomically(target.path, bytes, wishes);
  if (extras.comparison) await writeComparison(extras.comparison, source, bytes, wishes);
  if (extras.map) await writeMap(extras.map, degradation(), wishes);
  return { input: input.path, output: target.path, ...extras, report };
}

function extrasOf({ path }: Target, { compare, map }: Wishes): { comparison?: string; map?: string } {
  if (path === '-') return {};
  const stem = join(dirname(path), basename(path, extname(path)));
  return { ...(compare && { comparison: `${stem}.compare.jpg` }), ...(map && { map: `${stem}.map.png` }) };
}
