import type { OutputFormat } from '@elfin/core';
import type { Rule } from './rules.ts';

export const CONTENT_TYPES: Readonly<Record<OutputFormat, string>> = {
  jpeg: 'image/jpeg',
  png: 'image/png',
  webp: 'image/webp',
  avif: 'image/avif',
  tiff: 'image/tiff',
};

const BY_TYPE = new Map(Object.entries(CONTENT_TYPES).map(([format, type]) => [type, format as OutputFormat]));
const BY_EXTENSION: Readonly<Record<string, OutputFormat>> = {
  jpg: 'jpeg',
  jpeg: 'jpeg',
  png: 'png',
  webp: 'webp',
  avif: 'avif',
  tif: 'tiff',
  tiff: 'tiff',
};

/**
 * The format of a result. It must be known before any pixel is: the result's name depends on it. `auto` goes by the
 * source's file name, then its content type; what cannot be written again, such as HEIF or GIF, becomes JPEG.
 */
export function resolveFormat(rule: Pick<Rule, 'format'>, key: string, type: string | undefined): OutputFormat {
  if (rule.format !== 'auto') return rule.format;
  const extension = key.slice(key.lastIndexOf('.') + 1).toLowerCase();
  return BY_EXTENSION[extension] ?? BY_TYPE.get(type?.split(';')[0]?.trim().toLowerCase() ?? '') ?? 'jpeg';
}
