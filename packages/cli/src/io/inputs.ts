import { readFile, stat } from 'node:fs/promises';
import { basename, extname, join, relative, sep } from 'node:path';
import { ElfinError } from '@elfin/core';
import { glob, isDynamicPattern } from 'tinyglobby';
import { withoutResults } from './results.ts';

/** One thing to restore: a file, or standard input. `relative` is where its result goes below an output folder. */
export interface Input {
  readonly path: string | '-';
  readonly relative: string;
}

const IMAGE = new Set(['.jpg', '.jpeg', '.png', '.webp', '.avif', '.tif', '.tiff', '.gif', '.heic', '.heif']);

/** What was found, and how many results of earlier runs were left out. */
export interface Expanded {
  readonly inputs: readonly Input[];
  readonly leftOut: number;
}

/**
 * Expands files, folders (recursively, images by name) and globs into inputs, each once, in a stable order. A named file is
 * taken whatever it is called; folders and globs leave out results of earlier runs, `output` (`-o`) telling where those may
 * lie. Errors: INPUT_UNREADABLE where nothing is found.
 */
export async function expandInputs(words: readonly string[], output?: string): Promise<Expanded> {
  const inputs = new Map<string, Input>();
  const left = new Set<string>();
  for (const word of words) {
    const found = await expand(word, output);
    for (const input of found.inputs) if (!inputs.has(input.path)) inputs.set(input.path, input);
    for (const path of found.left) left.add(path);
  }
  return { inputs: [...inputs.values()], leftOut: [...left].filter((path) => !inputs.has(path)).length };
}

interface Found {
  readonly inputs: readonly Input[];
  readonly left: readonly string[];
}

async function expand(word: string, output: string | undefined): Promise<Found> {
  if (word === '-') return { inputs: [{ path: '-', relative: 'stdin' }], left: [] };
  const found = await stat(word).catch((error: NodeJS.ErrnoException) => error);
  if (found instanceof Error && found.code === 'ENOENT' && isDynamicPattern(word)) {
    const files = (await glob(word, { onlyFiles: true, expandDirectories: false })).filter(looksLikeImage).sort();
    if (files.length === 0) throw new ElfinError('INPUT_UNREADABLE', `No image matches ${word}.`);
    const folder = /^[^*?[{(]*\//.exec(word)?.[0] ?? '.';
    return sift(files, { word, folder, output, place: basename });
  }
  // A missing file is one failed input among others, so that the rest is still restored.
  if (found instanceof Error || !found.isDirectory())
    return { inputs: [{ path: word, relative: basename(word) }], left: [] };
  const files = await imagesBelow(word);
  if (files.length === 0) throw new ElfinError('INPUT_UNREADABLE', `The folder ${word} holds no images.`);
  return sift(files, { word, folder: word, output, place: (file) => relative(word, file) });
}

function sift(
  files: readonly string[],
  { word, place, ...where }: { word: string; folder: string; output: string | undefined; place(file: string): string },
): Found {
  const taken = new Set(withoutResults(files, where));
  if (taken.size === 0)
    throw new ElfinError(
      'INPUT_UNREADABLE',
      `${word} holds nothing but results of earlier runs: name those that are to be restored.`,
    );
  return {
    inputs: [...taken].map((path) => ({ path, relative: place(path) })),
    left: files.filter((file) => !taken.has(file)),
  };
}

/** Images below a folder, by extension, sorted; hidden files left out. */
export async function imagesBelow(folder: string): Promise<string[]> {
  const files = await glob('**/*', { cwd: folder, onlyFiles: true });
  return files
    .filter(looksLikeImage)
    .sort()
    .map((file) => join(folder, file.split('/').join(sep)));
}

function looksLikeImage(file: string): boolean {
  return IMAGE.has(extname(file).toLowerCase());
}

/** All bytes of a named file. Errors: INPUT_UNREADABLE with the reason. */
export async function readableFile(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const reasons: Record<string, string> = {
      ENOENT: 'there is no such file',
      EISDIR: 'it is a folder',
      EACCES: 'reading it is not allowed',
    };
    throw new ElfinError('INPUT_UNREADABLE', `Cannot read ${path}: ${reasons[code ?? ''] ?? code ?? message}.`, {
      cause,
    });
  }
}
