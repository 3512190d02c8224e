import { ElfinError } from '@elfin/core';

/** Where a source name points. */
export type SourceName =
  | { readonly kind: 'http'; readonly url: URL }
  | { readonly kind: 's3' | 'r2'; readonly bucket: string; readonly key: string }
  | { readonly kind: 'path'; readonly path: string };

const BUCKET = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/;
/** Backslashes count as slashes to some parsers and not to others, and controls vanish in some. No name needs them. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
const AMBIGUOUS = /[\\\u0000-\u001f\u007f-\u009f\u2028\u2029\ufeff]/;

function refuse(why: string): never {
  throw new ElfinError('URL_INVALID', `The source ${why}.`);
}

/** An S3 or R2 key and a path are compared and joined by text, so they may not hold segments that a client resolves. */
function checkKey(key: string, what: string): string {
  if (key.length > 1024) refuse(`names a ${what} longer than 1024 characters`);
  for (const segment of key.split('/')) {
    if (segment === '' || segment === '.' || segment === '..') {
      refuse(`has an empty, "." or ".." segment in its ${what}`);
    }
  }
  return key;
}

/**
 * Reads a source's name. A fragment, credentials, backslashes, controls and dot segments are refused rather than
 * repaired: what is signed is what is fetched. Errors: URL_INVALID.
 */
export function parseSource(text: string): SourceName {
  if (text === '') refuse('is empty');
  if (!text.isWellFormed()) refuse('holds half a surrogate pair');
  if (AMBIGUOUS.test(text)) refuse('holds a backslash or a control character');
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(text)?.[1]?.toLowerCase();
  if (scheme === undefined) {
    if (/[?#]/.test(text)) refuse('is a path, which has no query and no fragment');
    // A site's own absolute path, as image components hand it on; `//host/…` would name another site and stays refused.
    return { kind: 'path', path: checkKey(text.replace(/^\/(?!\/)/, ''), 'path') };
  }
  if (scheme === 's3' || scheme === 'r2') {
    const match = /^(?:s3|r2):\/\/([^/]+)\/(.+)$/i.exec(text);
    if (!match) refuse(`must read ${scheme}://bucket/key`);
    const [, bucket = '', key = ''] = match as RegExpExecArray;
    if (!BUCKET.test(bucket)) refuse('names a bucket that cannot exist');
    return { kind: scheme, bucket, key: checkKey(key, 'key') };
  }
  if (scheme !== 'http' && scheme !== 'https') {
    refuse(`has the scheme "${scheme.slice(0, 20)}:"; http, https, s3 and r2 are known`);
  }
  if (!/^https?:\/\/[^/]/i.test(text)) refuse('must read https://host/path');
  if (/\s/.test(text)) refuse('holds white space; percent-encode it inside the URL');
  let url: URL;
  try {
    url = new URL(text);
  } catch (cause) {
    throw new ElfinError('URL_INVALID', 'The source is not a URL.', { cause });
  }
  if (url.username !== '' || url.password !== '' || text.split(/[/?#]/, 3)[2]?.includes('@')) {
    refuse('carries credentials; elfin passes none on');
  }
  if (text.includes('#')) refuse('carries a fragment, which no server sees');
  return { kind: 'http', url };
}

/** The one spelling of a source's name, which is signed and which keys derive from. Errors: URL_INVALID. */
export function canonicalSource(text: string): string {
  const name = parseSource(text);
  if (name.kind === 'http') return name.url.href;
  return name.kind === 'path' ? name.path : `${name.kind}://${name.bucket}/${name.key}`;
}
