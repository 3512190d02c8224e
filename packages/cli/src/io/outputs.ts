import { realpath, stat } from 'node:fs/promises';
import { basename, dirname, extname, join, resolve } from 'node:path';
import type { ElfinError, OutputFormat } from '@elfin/core';
import { formatOf } from '@elfin/core/node';
import { usageError } from '../report/failure.ts';
import type { Input } from './inputs.ts';
import { printable } from './printable.ts';
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
  readonly comparison?: string | undefined;
  /** Where the degradation that the network found goes. */
  readonly map?: string | undefined;
}

/** Every file that a target stands for. */
export function filesOf({ path, comparison, map }: Target): string[] {
  return [path, comparison, map].filter((file) => file !== undefined && file !== '-') as string[];
}

/** What the command line says about outputs. */
export interface OutputFlags {
  readonly output: string | undefined;
  readonly format: OutputFormat | undefined;
  readonly compare?: boolean | undefined;
  readonly map?: boolean | undefined;
}

/** Targets of what can be written, and why the rest cannot. */
export interface OutputPlan {
  readonly targets: ReadonlyMap<Input, Target>;
  readonly refused: ReadonlyMap<Input, ElfinError>;
}

/**
 * Plans one output an input.
 *
 * - no `-o`: beside the source, as `<name>.restored.<ext>`; beside the caller for a URL; standard input goes to standard output;
 * - `-o -`: standard output, for one input;
 * - `-o dir/`, an existing folder, several inputs, or what a folder or a glob was searched for: below that folder, under the
 *   input's relative name; of inputs that differ in their extensions alone, each keeps its own in the name (`a.png.webp`);
 * - otherwise `-o` names the file, whose extension decides the format.
 *
 * The pictures that go along lie beside the result. Inputs that would still share a file, or whose result would take an
 * input's place, are refused one by one; the rest goes on. Errors: OPTION_INVALID for an extension that is not written, and for
 * pictures to go along with standard output.
 */
export async function planOutputs(inputs: readonly Input[], flags: OutputFlags): Promise<OutputPlan> {
  const { output } = flags;
  const several = inputs.length > 1 || inputs.some(({ searched }) => searched);
  const folder = output === undefined || output === '-' ? false : await isFolder(output, several);
  if (output === '-' && inputs.length > 1)
    throw usageError('Standard output takes one result, but several inputs are given: name a folder with -o.');
  const place = (input: Input, whole: boolean) => withPictures(targetOf(input, { ...flags, folder, whole }), flags);
  const plain = inputs.map((input) => place(input, false));
  const shared = await sharing(plain);
  // Where the extension tells nothing apart either, the plain name is the one to speak of.
  const whole = shared.includes(true) ? inputs.map((input) => place(input, true)) : plain;
  const stillShared = shared.includes(true) ? await sharing(whole) : shared;
  const chosen = plain.map((target, at) => (shared[at] && !stillShared[at] ? whole[at]! : target));
  return refuseClashes(new Map(inputs.map((input, at) => [input, chosen[at]!])));
}

/** Of each target, whether another one names one of its files. */
async function sharing(targets: readonly Target[]): Promise<boolean[]> {
  const files = await Promise.all(targets.map((target) => Promise.all(filesOf(target).map(resolvePath))));
  const times = new Map<string, number>();
  for (const file of files.flat()) times.set(file, (times.get(file) ?? 0) + 1);
  return files.map((own) => own.some((file) => times.get(file)! > 1));
}

async function refuseClashes(planned: ReadonlyMap<Input, Target>): Promise<OutputPlan> {
  const sources = new Map<string, Input>();
  for (const input of planned.keys()) if (input.kind === 'file') sources.set(await resolvePath(input.path), input);
  const targets = new Map<Input, Target>();
  const refused = new Map<Input, ElfinError>();
  const taken = new Map<string, Input>();
  for (const [input, target] of planned) {
    const files = await Promise.all(
      filesOf(target).map(async (path) => ({ path, key: await resolvePath(path), name: printable(path) })),
    );
    const clash = files.map(({ key, name }) => clashOf(input, name, sources.get(key), taken.get(key))).find(Boolean);
    if (clash) refused.set(input, usageError(clash));
    else targets.set(input, target);
    if (!clash) for (const { key } of files) taken.set(key, input);
  }
  return { targets, refused };
}

function clashOf(input: Input, file: string, source: Input | undefined, other: Input | undefined): string | undefined {
  const name = printable(input.path);
  if (source === input) return `The result of ${name} would replace its source: name another place with -o.`;
  if (source) return `${name} would be written to ${file}, which is to be restored itself: name another place with -o.`;
  if (other)
    return `Both ${printable(other.path)} and ${name} would be written to ${file}: restore them separately, into two folders.`;
  return undefined;
}

function withPictures(target: Target, { compare = false, map = false }: OutputFlags): Target {
  if (!compare && !map) return target;
  if (target.path === '-')
    throw usageError(
      `${compare ? '--compare' : '--map'} writes a file beside the result, not to standard output: give -o.`,
    );
  const stem = join(dirname(target.path), basename(target.path, extname(target.path)));
  return {
    ...target,
    comparison: compare ? stem + NAMED.comparison : undefined,
    map: map ? stem + NAMED.map : undefined,
  };
}

/** Where a path leads, links followed as far as it exists. */
async function resolvePath(path: string): Promise<string> {
  const full = resolve(path);
  const parent = dirname(full);
  return realpath(full).catch(async () => (parent === full ? full : join(await resolvePath(parent), basename(full))));
}

interface Placing {
  readonly output: string | undefined;
  readonly format: OutputFormat | undefined;
  readonly folder: boolean;
  /** The source's extension stays in the result's name. */
  readonly whole: boolean;
}

function targetOf(input: Input, { output, format, folder, whole }: Placing): Target {
  if (output === '-' || (output === undefined && input.kind === 'stdin')) return { path: '-', format };
  const source = input.kind === 'url' ? input.relative : input.path;
  if (output === undefined) {
    const name = basename(source, whole ? undefined : extname(source)) + NAMED.result + endingOf(source, format);
    return { path: input.kind === 'url' ? name : join(dirname(source), name), format: formatFor(source, format) };
  }
  if (folder) {
    const { relative } = input;
    const stem = whole ? relative : relative.slice(0, relative.length - extname(relative).length);
    return { path: join(output, stem + endingOf(relative, format)), format: formatFor(relative, format) };
  }
  const named = formatOf(output);
  if (named === undefined && format === undefined) {
    const known = Object.values(EXTENSIONS).join(' ');
    throw usageError(
      `Cannot tell a format from the output's name ${printable(output)}: end it in one of ${known}, or give --format.`,
    );
  }
  return { path: output, format: format ?? named };
}

/** What a source's result is written as: what was asked for, else its own format where that is written, else what replaces it. */
function formatFor(source: string, asked: OutputFormat | undefined): OutputFormat {
  // Phones write HEIC because it is small and lossy; as PNG it would grow tenfold.
  const replaced = /\.hei[cf]$/i.test(source) ? 'jpeg' : 'png';
  return asked ?? formatOf(source) ?? replaced;
}

function endingOf(source: string, asked: OutputFormat | undefined): string {
  const format = formatFor(source, asked);
  return formatOf(source) === format ? extname(source) : EXTENSIONS[format];
}

async function isFolder(output: string, several: boolean): Promise<boolean> {
  if (/[\\/]$/.test(output)) return true;
  const found = await stat(output).catch(() => undefined);
  if (several && found !== undefined && !found.isDirectory())
    throw usageError(`-o ${printable(output)} is a file, but several inputs are given: name a folder.`);
  return several || (found?.isDirectory() ?? false);
}
