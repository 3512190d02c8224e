import { ElfinError } from '@elfin/core';
import { createAllowList } from '../source/allow-list.ts';
import { canonicalSource, parseSource } from '../source/name.ts';
import type { Transform } from './parse.ts';

/** What may be asked without a signature. Everything not named here still needs one. */
export interface UnsignedRules {
  /** Names of presets; an unsigned URL carries exactly one of them. */
  readonly presets: readonly string[];
  /** Widths that may be asked beside the preset. */
  readonly widths: readonly number[];
  /**
   * Source patterns, as for the allow-list, and path prefixes below the configured origin ending in `*`. A URL with a query
   * (`https://origin.example/rain.jpg?v=3`) is one source; patterns without one cover no source that has a query.
   */
  readonly sources: readonly string[];
}

/** Whether `transform` is inside the rules. */
export type UnsignedGate = (transform: Transform) => boolean;

/**
 * A closed allow-list for loaders that run in a browser, where an HMAC key would leak: presets × widths × sources is
 * all that anyone can make the server compute. Errors: CONFIG_INVALID for a rule that allows nothing or everything.
 */
export function createUnsignedGate(rules: UnsignedRules): UnsignedGate {
  if (rules.presets.length === 0 || rules.sources.length === 0) {
    throw new ElfinError(
      'CONFIG_INVALID',
      'Unsigned URLs need at least one preset and one source; leave "unsigned" out for none.',
    );
  }
  const presets = new Set(rules.presets);
  const widths = new Set(rules.widths);
  const absolute = rules.sources.filter((source) => source.includes('://'));
  // A version in the query (`…/rain.jpg?v=3`) is bound by naming it: one rule, one source.
  const exact = new Set(absolute.filter((source) => source.includes('?')).map(canonicalSource));
  const allowed = createAllowList(absolute.filter((source) => !source.includes('?')));
  const paths = rules.sources.filter((source) => !source.includes('://'));
  return ({ options, source }) => {
    const { preset, width, ...rest } = options;
    if (preset === undefined || !presets.has(preset)) return false;
    if (width !== undefined && !widths.has(width)) return false;
    if (Object.keys(rest).length > 0) return false;
    const name = parseSource(source);
    if (name.kind === 'path') {
      return paths.some((path) => (path.endsWith('*') ? name.path.startsWith(path.slice(0, -1)) : name.path === path));
    }
    if (exact.has(source)) return true;
    return allowed(name) && (name.kind !== 'http' || isPlain(name.url));
  };
}

/** An escape that `encodeURIComponent` would not have written, or in lower case. */
const NEEDLESS_ESCAPE = /%(?:[46][1-9A-F]|[57][0-9A]|3[0-9]|2[17-9ADE]|5F|7E|[0-9A-F]?[a-f]|[a-f])/;

/**
 * Whether a URL is the one spelling of what an origin finds behind it. A query that the origin passes over, an escaped
 * letter and a doubled slash each give one picture endless names, and each name would be work.
 */
const isPlain = ({ search, pathname, href }: URL): boolean =>
  search === '' && !href.endsWith('?') && !pathname.includes('//') && !NEEDLESS_ESCAPE.test(pathname);
