import type { BigIntStats } from 'node:fs';
import { ElfinError } from '@elfin/core';
import { printable } from './printable.ts';

/** Where one input's bytes come from. */
export type InputKind = 'file' | 'pipe' | 'url' | 'stdin';

/** Whether a word names something by `http(s):` or `file:`. A path may begin with one letter and a colon (Windows). */
export function isUrl(word: string): boolean {
  return /^[a-z][a-z0-9+.-]+:\/\//i.test(word);
}

/**
 * What a path leads to: a file, or a pipe, which is read as standard input is. What neither ends nor starts is refused by name.
 * Errors: INPUT_UNREADABLE for devices and sockets.
 */
export function kindOf(path: string, found: BigIntStats): 'file' | 'pipe' {
  if (found.isFIFO()) return 'pipe';
  if (found.isFile()) return 'file';
  const what = found.isSocket() ? 'a socket' : found.isDirectory() ? 'a folder' : 'a device';
  throw new ElfinError('INPUT_UNREADABLE', `${printable(path)} is ${what}, not a photo.`);
}

/**
 * The name that a URL's result is called after: its last segment, decoded, without what a file's name cannot hold; `image`
 * where the URL has none.
 */
export function nameOfUrl(word: string): string {
  const segment = URL.canParse(word) ? (new URL(word).pathname.split('/').filter(Boolean).at(-1) ?? '') : '';
  const decoded = decode(segment)
    .replace(/[\p{Cc}<>:"/\\|?*]+/gu, '_')
    .replace(/\.{2,}|^\./g, '_')
    .slice(0, 200);
  return decoded === '' ? 'image' : decoded;
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
