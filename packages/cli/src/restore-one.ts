import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DEFAULT_LIMITS } from '@elfin/core';
import { checkWritable, type EncodedOptions, type NodeRestorer } from '@elfin/core/node';
import type { Outcome } from './batch/outcome.ts';
import type { Input } from './io/inputs.ts';
import { filesOf, type Target } from './io/outputs.ts';
import { sourceOf } from './io/source.ts';
import { writeStdout } from './io/stdio.ts';
import { writeComparison, writeMap } from './report/compare.ts';

/** What is to be done with one input. */
export interface RestoreRequest {
  readonly options: EncodedOptions & { readonly signal: AbortSignal };
  readonly force: boolean;
}

/**
 * One input to its target, with the pictures that were asked for beside it. That everything can be written is checked before
 * the work begins. Errors: those of `NodeRestorer.restoreFile`.
 */
export async function restoreOne(
  restorer: NodeRestorer,
  input: Input,
  target: Target,
  { options: given, force }: RestoreRequest,
): Promise<Outcome> {
  for (const path of filesOf(target)) {
    // Where the folder cannot be made, the check below says why.
    await mkdir(dirname(path), { recursive: true }).catch(() => undefined);
    await checkWritable(path, { force });
  }
  const source = await sourceOf(input, { limit: given.limits?.bytes ?? DEFAULT_LIMITS.bytes, signal: given.signal });
  const options = { ...given, ...(target.format && { format: target.format }) };
  const { path, comparison, map } = target;
  if (path === '-') {
    const { bytes, report } = await restorer.restoreEncoded(source, options);
    await writeStdout(bytes);
    return { input: input.path, output: path, report };
  }
  const { report, degradation } = await restorer.restoreFile(source, path, { ...options, force });
  if (comparison !== undefined) await writeComparison(comparison, source, path, { force });
  if (map !== undefined) await writeMap(map, degradation(), { force });
  return { input: input.path, output: path, comparison, map, report };
}
