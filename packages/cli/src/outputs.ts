import { stat } from 'node:fs/promises';
import { basename, dirname, extname, join, resolve } from 'node:path';
import type { OutputFormat } from '@elfin/core';
import { formatOf } from '@elfin/core/node';
import { usageError } from './failure.ts';
import type { Input } from './inputs.ts';

/** What every written format is called at the end of a name. */
export const EXTENSIONS: Readonly<Record<OutputFormat, string>> = {
  jpeg: '.jpg',
  png: '.png',
  webp: '.webp',
  avif: '.avif',
  tiff: '.tif',
};
/** Where one input's result goes. `format` is undefined where the source's own format is to be kept. */
export interface Target {
  readonly path: string | '-';
  readonly format: OutputFormat | undefined;
}

/**
 * Plans one output an input.
 *
 * - no `-o`: beside the source, as `<name>.restored.<ext>`; standard input goes to standard output;
 * - `-o -`: standard output, for one input;
 * - `-o dir/`, an existing folder, or several inputs: below that folder, under the input's relative name;
 * - otherwise `-o` names the file, whose extension decides the format.
 *
 * Errors: OPTION_INVALID for an extension that is not written or two inputs with one output.
 */
export async function planOutputs(
  inputs: readonly Input[],
  { output, format }: { output: string | undefined; format: OutputFormat | undefined },
): Promise<Map<Input, Target>> {
  const folder = output === undefined || output === '-' ? false : await isFolder(output, inputs.length > 1);
  if (output === '-' && inputs.length > 1)
    throw usageError('Standard output takes one result, but several inputs are given: name a folder with -o.');
  const plan = new Map<Input, Target>();
  const taken = new Map<string, string>();
  for (const input of inputs) {
    const target = targetOf(input, { output, format, folder });
    plan.set(input, target);
    if (target.path === '-') continue;
    const key = resolve(target.path);
    const other = taken.get(key);
    if (other !== undefined)
      throw usageError(`Both ${other} and ${input.path} would be written to ${target.path}: restore them separately.`);
    taken.set(key, input.path);
  }
  return plan;
}

function targetOf(
  input: Input,
  { output, format, folder }: { output: string | undefined; format: OutputFormat | undefined; folder: boolean },
): Target {
  if (output === '-' || (output === undefined && input.path === '-')) return { path: '-', format };
  if (output === undefined) {
    const kept = formatOf(input.path);
    const name = basename(input.path, extname(input.path));
    const ending = extensionFor(format, kept, input.path);
    return { path: join(dirname(input.path), `${name}.restored${ending}`), format: format ?? kept ?? 'png' };
  }
  if (folder) {
    const kept = formatOf(input.relative);
    const stem = input.relative.slice(0, input.relative.length - extname(input.relative).length);
    return { path: join(output, stem + extensionFor(format, kept, input.relative)), format: format ?? kept ?? 'png' };
  }
  const named = formatOf(output);
  if (named === undefined && format === undefined) {
    const known = Object.values(EXTENSIONS).join(' ');
    throw usageError(
      `Cannot tell a format from the output's name ${output}: end it in one of ${known}, or give --format.`,
    );
  }
  return { path: output, format: format ?? named };
}

function extensionFor(format: OutputFormat | undefined, kept: OutputFormat | undefined, path: string): string {
  if (format !== undefined && format !== kept) return EXTENSIONS[format];
  return kept === undefined ? EXTENSIONS.png : extname(path);
}

async function isFolder(output: string, several: boolean): Promise<boolean> {
  if (/[\\/]$/.test(output)) return true;
  const found = await stat(output).catch(() => undefined);
  if (several && found !== undefined && !found.isDirectory())
    throw usageError(`-o ${output} is a file, but several inputs are given: name a folder.`);
  return several || (found?.isDirectory() ?? false);
}
