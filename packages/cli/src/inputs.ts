import { readFile, stat } from 'node:fs/promises';
import { basename, extname, join, relative, sep } from 'node:path';
import { ElfinError } from '@elfin/core';
import { glob, isDynamicPattern } from 'tinyglobby';

/** One thing to restore: a file, or standard input. `relative` is where its result goes below an output folder. */
export interface Input {
  readonly path: string | '-';
  readonly relative: string;
}

const IMAGE = new Set(['.jpg', '.jpeg', '.png', '.webp', '.avif', '.tif', '.tiff', '.gif', '.heic', '.heif']);

/**
 * Expands files, folders (recursively, images by name) and globs into inputs, each once, in a stable order.
 * A named file is taken whatever its extension. Errors: INPUT_UNREADABLE where nothing is found.
 */
export async function expandInputs(words: readonly string[]): Promise<Input[]> {
  const inputs = new Map<string, Input>();
  for (const word of words) {
    for (const input of await expand(word)) if (!inputs.has(input.path)) inputs.set(input.path, input);
  }
  return [...inputs.values()];
}

async function expand(word: string): Promise<Input[]> {
  if (word === '-') return [{ path: '-', relative: 'stdin' }];
  const found = await stat(word).catch((error: NodeJS.ErrnoException) => error);
  if (found instanceof Error) {
    if (found.code === 'ENOENT' && isDynamicPattern(word)) return expandGlob(word);
    // A missing file is one failed input among others, so that the rest is still restored.
    return [{ path: word, relative: basename(word) }];
  }
  if (!found.isDirectory()) return [{ path: word, relative: basename(word) }];
  const files = await imagesBelow(word);
  if (files.length === 0) throw new ElfinError('INPUT_UNREADABLE', `The folder ${word} holds no images.`);
  return files.map((file) => ({ path: file, relative: relative(word, file) }));
}

async function expandGlob(pattern: string): Promise<Input[]> {
  const files = (await glob(pattern, { onlyFiles: true, expandDirectories: false })).filter(looksLikeImage).sort();
  if (files.length === 0) throw new ElfinError('INPUT_UNREADABLE', `No image matches ${pattern}.`);
  return files.map((file) => ({ path: file, relative: basename(file) }));
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
