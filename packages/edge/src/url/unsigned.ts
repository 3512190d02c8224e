import { ElfinError } from '@elfin/core';
import { createAllowList } from '../source/allow-list.ts';
import { parseSource } from '../source/name.ts';
import type { Transform } from './parse.ts';

/** What may be asked without a signature. Everything not named here still needs one. */
export interface UnsignedRules {
  /** Names of presets; an unsigned URL carries exactly one of them. */
  readonly presets: readonly string[];
  /** Widths that may be asked beside the preset. */
  readonly widths: readonly number[];
  /** Source patterns, as for the allow-list, and path prefixes below the configured origin ending in `*`. */
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
  const isPattern = (source: string) => source.includes('://');
  const allowed = createAllowList(rules.sources.filter(isPattern));
  const paths = rules.sources.filter((source) => !isPattern(source));
  return ({ options, source }) => {
    const { preset, width, ...rest } = options;
    if (preset === undefined || !presets.has(preset)) return false;
    if (width !== undefined && !widths.has(width)) return false;
    if (Object.keys(rest).length > 0) return false;
    const name = parseSource(source);
    if (name.kind === 'path') {
      return paths.some((path) => (path.endsWith('*') ? name.path.startsWith(path.slice(0, -1)) : name.path === path));
    }
    return allowed(name);
  };
}
