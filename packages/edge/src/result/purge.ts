import { type ElfinError, isElfinError } from '@elfin/core';
import type { ObjectStore } from '@elfin/storage';
import { parseSource } from '../source/name.ts';
import { parseTransform } from '../url/parse.ts';
import { createResultStore } from './store.ts';

/**
 * What `elfin purge` is given: a transform URL (all results of its source are forgotten), a source, or a prefix of sources
 * that ends in `*`. Errors: URL_INVALID.
 */
export function parsePurge(
  what: string,
  prefix = 'i',
): { readonly source: string } | { readonly sourcePrefix: string } {
  if (what.endsWith('*')) return { sourcePrefix: what.slice(0, -1) };
  const path = URL.canParse(what) ? new URL(what).pathname : (what.split('?')[0] ?? '');
  const at = path.indexOf(`/${prefix}/`);
  if (at >= 0) {
    try {
      return { source: parseTransform(path.slice(at + prefix.length + 2)).source };
    } catch (error) {
      // A source may have a folder of the prefix's name; only what is neither is a mistake.
      if (!isElfinError(error) || (error as ElfinError).fault !== 'input') throw error;
    }
  }
  const name = parseSource(what);
  return { source: name.kind === 'http' ? name.url.href : what };
}

/** Forgets what is known of sources in a store. Resolves to the number of refs dropped. Errors: URL_INVALID, STORE_FAILED. */
export function purge(store: ObjectStore, what: string, prefix?: string): Promise<number> {
  return createResultStore(store).purge(parsePurge(what, prefix));
}
