import { extname, isAbsolute, relative, resolve, sep } from 'node:path';

/** What the files are called that a run leaves: a result beside its source, and the pictures beside a result. */
export const NAMED = { result: '.restored', comparison: '.compare.jpg', map: '.map.png' } as const;

const ENDING = /\.restored\.[^./\\]+$|\.compare\.jpg$|\.map\.png$/i;
const BESIDE = /\.compare\.jpg$|\.map\.png$/i;

/**
 * Found files without the results of earlier runs, which would else be restored again: what lies at or below `output`, where
 * that lies below the searched `folder`, and what is called as a result of another of these files. A photo that is only
 * called so, without its source among the others, stays.
 */
export function withoutResults(
  files: readonly string[],
  { folder, output }: { readonly folder: string; readonly output: string | undefined },
): string[] {
  // Results may also go where the sources lie: then only names tell them apart.
  const inside =
    output !== undefined && output !== '-' && resolve(output) !== resolve(folder) && liesIn(folder, output);
  const left = inside ? files.filter((file) => !liesIn(output, file)) : files;
  const stems = stemsOf(left);
  return left.filter((file) => !isResultOf(stems, file, ENDING));
}

/** Files without the comparisons and maps that a run laid beside its results: they are no photos to be measured. */
export function withoutComparisons(files: readonly string[]): string[] {
  const stems = stemsOf(files);
  return files.filter((file) => !isResultOf(stems, file, BESIDE));
}

function stemsOf(files: readonly string[]): ReadonlySet<string> {
  // With its extension too: of two that differ in nothing else, each keeps it in its result's name.
  return new Set(files.flatMap((file) => [file, file.slice(0, file.length - extname(file).length)]));
}

/** Also of a result of a result, whose own source may be gone. */
function isResultOf(stems: ReadonlySet<string>, file: string, called: RegExp): boolean {
  const [ending] = called.exec(file) ?? [];
  if (ending === undefined) return false;
  let stem = file.slice(0, -ending.length);
  while (!stems.has(stem) && stem.endsWith(NAMED.result)) stem = stem.slice(0, -NAMED.result.length);
  return stems.has(stem);
}

function liesIn(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}
