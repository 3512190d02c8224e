import { extname, posix, relative, sep } from 'node:path';
import { usageError } from '../report/failure.ts';

/** A folder and the images found below it. */
export interface Album {
  readonly folder: string;
  readonly files: readonly string[];
}

/** An image's path below its folder, without extension: `heavy/rain-1`. */
export function nameIn(folder: string, file: string): string {
  const path = relative(folder, file);
  return path
    .slice(0, path.length - extname(path).length)
    .split(sep)
    .join('/');
}

/**
 * Inputs with their targets: of the same path below the folder, extensions aside, or, where one of the two lies in its folder
 * itself, of the same name. Inputs without one are left out. Errors: OPTION_INVALID where two files could be meant.
 */
export function pairWithTargets(inputs: Album, targets: Album): Map<string, string> {
  const byPath = groups(targets.files, (file) => nameIn(targets.folder, file));
  const byName = groups(targets.files, (file) => posix.basename(nameIn(targets.folder, file)));
  const pairs = new Map<string, string>();
  const taken = new Map<string, string>();
  for (const input of inputs.files) {
    const name = nameIn(inputs.folder, input);
    const named = byName.get(posix.basename(name)) ?? [];
    const found =
      byPath.get(name) ??
      (name.includes('/') ? named.filter((file) => !nameIn(targets.folder, file).includes('/')) : named);
    const [target, other] = found;
    if (target === undefined) continue;
    if (other !== undefined)
      throw usageError(
        `The target of ${input} may be ${target} or ${other}: lay both folders out alike, or remove one.`,
      );
    const before = taken.get(target);
    if (before !== undefined)
      throw usageError(
        `${before} and ${input} would both be measured against ${target}: lay both folders out alike, or remove one.`,
      );
    taken.set(target, input);
    pairs.set(input, target);
  }
  return pairs;
}

function groups(files: readonly string[], keyOf: (file: string) => string): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const file of files) groups.set(keyOf(file), [...(groups.get(keyOf(file)) ?? []), file]);
  return groups;
}
