import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { checkWritable, type EncodedOptions, type NodeRestorer, writeAtomically } from '@elfin/core/node';
import type { Input } from './io/inputs.ts';
import { filesOf, type Target } from './io/outputs.ts';
import { readStdin, writeStdout } from './io/stdio.ts';
import { writeComparison, writeMap } from './report/compare.ts';
import type { Outcome } from './verbs/restore.ts';

/** What is to be done with one input. */
export interface Wishes {
  readonly options: EncodedOptions;
  readonly force: boolean;
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
  for (const path of filesOf(target)) {
    // Where the folder cannot be made, the check below says why.
    await mkdir(dirname(path), { recursive: true }).catch(() => undefined);
    await checkWritable(path, wishes);
  }
  const source = input.path === '-' ? await readStdin(wishes.options.limits?.bytes) : input.path;
  const options = { ...wishes.options, ...(target.format && { format: target.format }) };
  const { bytes, report, degradation } = await restorer.restoreEncoded(source, options);
  if (target.path === '-') await writeStdout(bytes);
  else await writeAtomically(target.path, bytes, wishes);
  const { comparison, map } = target;
  if (comparison !== undefined) await writeComparison(comparison, source, bytes, wishes);
  if (map !== undefined) await writeMap(map, degradation(), wishes);
  const pictures = { ...(comparison !== undefined && { comparison }), ...(map !== undefined && { map }) };
  return { input: input.path, output: target.path, ...pictures, report };
}
