import { stat } from 'node:fs/promises';
import { ElfinError } from '@elfin/core';
import type { Input } from '../io/inputs.ts';
import { filesOf, type Target } from '../io/outputs.ts';
import { printable } from '../io/printable.ts';
import type { Ledger } from './ledger.ts';
import type { Outcome } from './outcome.ts';

/** What becomes of an input whose result is there: refused, left as it is, or made anew where it is out of date. */
export type SkipPolicy = 'refuse' | 'existing' | 'resume';

/** Why an input needs no work; undefined where it does. Errors: OUTPUT_EXISTS under `refuse` without `force`. */
export async function reasonToSkip(
  input: Input,
  target: Target,
  { skip, force, ledger }: { readonly skip: SkipPolicy; readonly force: boolean; readonly ledger: Ledger | undefined },
): Promise<Outcome['skipped']> {
  if (target.path === '-' || force) return undefined;
  if (skip === 'resume')
    return input.kind === 'file' && (await ledger?.stands(target.path, input.path)) ? 'up to date' : undefined;
  if (skip === 'existing') return (await exists(target.path)) ? 'exists' : undefined;
  for (const file of filesOf(target))
    if (await exists(file))
      throw new ElfinError(
        'OUTPUT_EXISTS',
        `${printable(file)} exists already; --skip-existing leaves it, --force replaces it.`,
      );
  return undefined;
}

/** Folders are told of when it comes to writing. */
async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() ?? false;
}
