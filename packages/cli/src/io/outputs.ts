import { realpath, stat } from 'node:fs/promises';
import { basename, dirname, extname, join, resolve } from 'node:path';
import type { OutputFormat } from '@elfin/core';
import { formatOf } from '@elfin/core/node';
import { usageError } from '../report/failure.ts';
import type { Input } from './inputs.ts';
import { NAMED } from './results.ts';

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
  /** Where source and result side by side go; undefined where that is not asked for. */
  readonly comparison?: string;
  /** Where the degradation that the network found goes. */
  readonly map?: string;
}

/** Every file that a target stands for. */
export function filesOf({ path, comparison, map }: Target): string[] {
  return [path, comparison, map].filter((file) => file !== undefined && file !== '-') as string[];
}

/** What the command line says about outputs. */
export interface OutputWishes {
  readonly output: string | undefined;
  readonly format: OutputFormat | undefined;
  readonly compare?: boolean;
  readonly map?: boolean;
}

/**
 * Plans one output an input.
 *
 * - no `-o`: beside the source, as `<name>.restored.<ext>`; standard input goes to standard output;
 * - `-o -`: standard output, for one input;
 * - `-o dir/`, an existing folder, or several inputs: below that folder, under the input's relative name;
 * - otherwise `-o` names the file, whose extension decides the format.
 *
 * The pictures that go along lie beside the result. Errors: OPTION_INVALID for an extension that is not written, two inputs
 * with one output, an output that is an input, and pictures to go along with standard output.
 */
export async function planOutputs(inputs: readonly Input[], wishes: OutputWishes): Promise<Map<Input, Target>> {
  const { output } = wishes;
  const folder = output === undefined || output === '-' ? false : await isFolder(output, inputs.length > 1);
  if (output === '-' && inputs.length > 1)
    throw usageError('Standard output takes one result, but several inputs are given: name a folder with -o.');
  const plan = new Map<Input, Target>();
  const sources = new Map<string, Input>();
  for (const input of inputs) if (input.path !== '-') sources.set(await whereto(input.path), input);
  const taken = new Map<string, Input>();
  for (const input of inputs) {
    const target = withPictures(targetOf(input, { ...wishes, folder }), wishes);
    plan.set(input, target);
    for (const path of filesOf(target)) {
      const key = await whereto(path);
      const source = sources.get(key);
      if (source === input)
        throw usageError(`The result of ${input.path} would replace its source: name another place with -o.`);
      if (source)
        throw usageError(
          `${input.path} would be written to ${path}, which is to be restored itself: name another place with -o.`,
        );
      const other = taken.get(key);
      if (other)
        throw usageError(
          `Both ${other.path} and ${input.path} would be written to ${path}: restore them separately, into two folders.`,
        );
      taken.set(key, input);
    }
  }
  return plan;
}

function withPictures(target: Target, { compare = false, map = false }: OutputWishes): Target {
  if (!compare && !map) return target;
  if (target.path === '-')
    throw usageError(
      `${compare ? '--compare' : '--map'} writes a file beside the result, not to standard output: give -o.`,
    );
  const stem = join(dirname(target.path), basename(target.path, extname(target.path)));
  return {
    ...target,
    ...(compare && { comparison: stem + NAMED.comparison }),
    ...(map && { map: stem + NAMED.map }),
  };
}

/** Where a path leads, links followed as far as it exists. */
async function whereto(path: string): Promise<string> {
  const full = resolve(path);
  const parent = dirname(full);
  return realpath(full).catch(async () => (parent === full ? full : join(await whereto(parent), basename(full))));
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
    return { path: join(dirname(input.path), name + NAMED.result + ending), format: format ?? kept ?? 'png' };
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
