import type { OutputFormat } from '@elfin/core';
import type { Options } from '../url/options.ts';

/**
 * `Accept` folded into three: caches hold at most three variants of a URL, whatever browsers send. The bucket is part of
 * every cache key, since the Cache API does not honour `Vary`.
 */
export type AcceptBucket = 'avif' | 'webp' | 'other';

/** Whether `Accept` names `type` itself with a weight above 0: a bare wildcard comes from clients that cannot show new formats. */
function accepts(accept: string, type: string): boolean {
  return accept.split(',').some((range) => {
    const [name, ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    if (name !== type) return false;
    const weight = parameters.find((parameter) => parameter.startsWith('q='));
    return weight === undefined || Number(weight.slice(2)) > 0;
  });
}

/** Folds an `Accept` header. */
export function acceptBucket(accept: string | null | undefined): AcceptBucket {
  if (!accept) return 'other';
  if (accepts(accept, 'image/avif')) return 'avif';
  return accepts(accept, 'image/webp') ? 'webp' : 'other';
}

/**
 * The variant of a URL: the bucket where the format is negotiated, and otherwise the format asked for. `json` describes
 * the variant that a client without new formats gets.
 */
export function variant(format: Options['format'], bucket: AcceptBucket): string {
  if (format === 'json') return 'other';
  return format === undefined || format === 'auto' ? bucket : format;
}

/** The format that a variant is written in: the bucket's own where the codec has it, else JPEG, or PNG for alpha. */
export function resolveFormat(
  variant: string,
  image: { readonly hasAlpha: boolean },
  formats: readonly OutputFormat[],
): OutputFormat {
  const asked = formats.find((format) => format === variant);
  if (asked) return asked;
  if (variant === 'avif' && formats.includes('webp')) return 'webp';
  return image.hasAlpha && formats.includes('png') ? 'png' : 'jpeg';
}

/** Whether an `If-None-Match` header names `etag` (weak comparison, RFC 9110 §13.1.2). */
export function noneMatch(header: string | null | undefined, etag: string): boolean {
  if (!header) return false;
  const opaque = (tag: string) => tag.trim().replace(/^W\//, '');
  return header.trim() === '*' || header.split(',').some((tag) => opaque(tag) === opaque(etag));
}

/** `Prefer` as RFC 7240 writes it: only `respond-async` and `wait` mean something here. */
export function parsePrefer(header: string | null | undefined): { readonly async: boolean; readonly wait?: number } {
  let async = false;
  let wait: number | undefined;
  for (const part of (header ?? '').split(',')) {
    const [name = '', value = ''] = (part.split(';')[0] ?? '').split('=').map((text) => text.trim().toLowerCase());
    if (name === 'respond-async') async = true;
    if (name === 'wait' && /^"?[0-9]{1,5}"?$/.test(value)) wait ??= Number(value.replaceAll('"', ''));
  }
  return { async, ...(wait === undefined ? {} : { wait }) };
}
