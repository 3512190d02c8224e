import { type BigIntStats, statSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { basename, extname, join, relative, sep } from 'node:path';
import { ElfinError } from '@elfin/core';
import { glob, isDynamicPattern } from 'tinyglobby';
import { type InputKind, isUrl, kindOf, nameOfUrl } from './kinds.ts';
import { printable } from './printable.ts';
import { withoutResults } from './results.ts';

/** One thing to restore. */
export interface Input {
  /** A path, a URL, or `-` for standard input. */
  readonly path: string;
  readonly kind: InputKind;
  /** Where its result goes below an output folder. */
  readonly relative: string;
  /** Found in a folder or by a glob, not named itself. */
  readonly searched: boolean;
  /** Bytes, where the file system tells. */
  readonly bytes?: number | undefined;
}

const endings = (words: string) => new Set(words.split(' ').map((word) => `.${word}`));
/** Files that are taken out of folders. */
const IMAGE = endings('jpg jpeg jfif png webp avif tif tiff gif heic heif jxl bmp');
/** What a camera's sensor saw, not yet a picture: told, and left alone. */
const RAW = endings('dng nef nrw cr2 cr3 crw arw sr2 srf raf orf rw2 pef srw 3fr iiq x3f');

/** What was found. */
export interface Expanded {
  readonly inputs: readonly Input[];
  /** How many results of earlier runs were left out. */
  readonly leftOut: number;
  /** RAW files of the folders, which are left out as well. */
  readonly raw: readonly string[];
  /** Names of files that were there already under another name, by links, and the name that is restored. */
  readonly links: ReadonlyMap<string, string>;
  /** What is no photo to begin with, by name: each a failure of its own, so that the rest is still restored. */
  readonly refused: ReadonlyMap<string, ElfinError>;
}

interface Found {
  readonly inputs: readonly Input[];
  readonly left: readonly string[];
  readonly raw: readonly string[];
}

/**
 * Expands files, folders (recursively, images by name), globs and URLs into inputs, each once, in a stable order: a second name of
 * the same file (a link) is told and left out. A named file is taken whatever it is called; folders and globs leave out results
 * of earlier runs, `output` (`-o`) telling where those may lie. Errors: INPUT_UNREADABLE where nothing is found.
 */
export async function expandInputs(words: readonly string[], output?: string): Promise<Expanded> {
  const inputs = new Map<string, Input>();
  const left = new Set<string>();
  const raw = new Set<string>();
  const refused = new Map<string, ElfinError>();
  for (const word of words) {
    const found = await expand(word, output).catch((error: unknown) => {
      // Of several words one may name a device or an empty folder; a single one has nothing else to say.
      if (words.length === 1 || !(error instanceof ElfinError)) throw error;
      refused.set(word, error);
      return { inputs: [], left: [], raw: [] };
    });
    for (const input of found.inputs) if (!inputs.has(input.path)) inputs.set(input.path, input);
    for (const path of found.left) left.add(path);
    for (const path of found.raw) raw.add(path);
  }
  const { single, links } = withoutLinks([...inputs.values()]);
  const leftOut = [...left].filter((path) => !inputs.has(path)).length;
  return { inputs: single, links, refused, leftOut, raw: [...raw].filter((path) => !inputs.has(path)) };
}

/** Each file once, whatever number of names lead to it; the name that came first stays. */
function withoutLinks(inputs: readonly Input[]): { single: Input[]; links: Map<string, string> } {
  const known = new Map<string, string>();
  const links = new Map<string, string>();
  const single = inputs.filter((input) => {
    const found = input.kind === 'file' ? statSync(input.path, { bigint: true, throwIfNoEntry: false }) : undefined;
    // Some file systems number no files.
    if (found === undefined || found.ino === 0n) return true;
    const file = `${found.dev}:${found.ino}`;
    const first = known.get(file);
    if (first === undefined) known.set(file, input.path);
    else links.set(input.path, first);
    return first === undefined;
  });
  return { single, links };
}

async function expand(word: string, output: string | undefined): Promise<Found> {
  if (word === '-') return one({ path: '-', kind: 'stdin', relative: 'stdin', searched: false });
  if (isUrl(word)) return one({ path: word, kind: 'url', relative: nameOfUrl(word), searched: false });
  const found = await stat(word, { bigint: true }).catch((error: NodeJS.ErrnoException) => error);
  const pattern = asPattern(word, process.platform);
  if (found instanceof Error && found.code === 'ENOENT' && isDynamicPattern(pattern))
    return matches(word, pattern, output);
  // A missing file is one failed input among others, so that the rest is still restored.
  if (found instanceof Error) return one({ path: word, kind: 'file', relative: basename(word), searched: false });
  if (found.isDirectory()) return below(word, output);
  const kind = kindOf(word, found);
  return one({ path: word, kind, relative: basename(word), searched: false, bytes: sizeOf(found) });
}

const one = (input: Input): Found => ({ inputs: [input], left: [], raw: [] });
const sizeOf = (found: BigIntStats) => (found.isFile() ? Number(found.size) : undefined);

/** A glob with forward slashes: the shells of Windows hand `photos\*.jpg` over as it is. */
export function asPattern(word: string, platform: NodeJS.Platform): string {
  return platform === 'win32' ? word.replaceAll('\\', '/') : word;
}

async function matches(word: string, pattern: string, output: string | undefined): Promise<Found> {
  const found = (await glob(pattern, { onlyFiles: true, expandDirectories: false })).sort();
  const files = found.filter(isImage);
  const raw = found.filter(isRaw);
  if (files.length === 0)
    throw new ElfinError('INPUT_UNREADABLE', `No image matches ${printable(word)}${ofRaw(raw.length)}.`);
  const folder = /^[^*?[{(]*\//.exec(pattern)?.[0] ?? '.';
  return sift(files, raw, { word, folder, output, place: basename });
}

async function below(folder: string, output: string | undefined): Promise<Found> {
  const found = await filesBelow(folder);
  const files = found.filter(isImage);
  const raw = found.filter(isRaw);
  if (files.length === 0)
    throw new ElfinError('INPUT_UNREADABLE', `The folder ${printable(folder)} holds no images${ofRaw(raw.length)}.`);
  return sift(files, raw, { word: folder, folder, output, place: (file) => relative(folder, file) });
}

const ofRaw = (count: number) =>
  count > 0 ? ` but ${count} RAW ${count === 1 ? 'file' : 'files'}: develop them first` : '';

function sift(
  files: readonly string[],
  raw: readonly string[],
  { word, place, ...where }: { word: string; folder: string; output: string | undefined; place(file: string): string },
): Found {
  const taken = new Set(withoutResults(files, where));
  if (taken.size === 0)
    throw new ElfinError(
      'INPUT_UNREADABLE',
      `${printable(word)} holds nothing but results of earlier runs: name those that are to be restored.`,
    );
  const inputs = [...taken].flatMap((path): Input[] => {
    const found = statSync(path, { bigint: true, throwIfNoEntry: false });
    // Pipes and devices in a folder are nobody's photos; a link that leads nowhere fails when it is read.
    if (found && !found.isFile()) return [];
    return [{ path, kind: 'file', relative: place(path), searched: true, bytes: found && sizeOf(found) }];
  });
  return { inputs, raw, left: files.filter((file) => !taken.has(file)) };
}

/** Images below a folder, by extension, sorted; hidden files left out. */
export async function imagesBelow(folder: string): Promise<string[]> {
  return (await filesBelow(folder)).filter(isImage);
}

async function filesBelow(folder: string): Promise<string[]> {
  const files = await glob('**/*', { cwd: folder, onlyFiles: true });
  return files.sort().map((file) => join(folder, file.split('/').join(sep)));
}

const isImage = (file: string) => IMAGE.has(extname(file).toLowerCase());
const isRaw = (file: string) => RAW.has(extname(file).toLowerCase());

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
    throw new ElfinError(
      'INPUT_UNREADABLE',
      `Cannot read ${printable(path)}: ${reasons[code ?? ''] ?? code ?? message}.`,
      { cause },
    );
  }
}
