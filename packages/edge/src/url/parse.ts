import { closestName, ElfinError, expectedText, invalidOption, readOption, writeOption } from '@elfin/core';
import { canonicalSource } from '../source/name.ts';
import {
  OPTION_BY_SPELLING,
  OPTION_NAMES,
  OPTIONS,
  type OptionName,
  type OptionSpec,
  type Options,
} from './options.ts';

/** What a transform URL means, whatever its spelling. */
export interface Transform {
  readonly options: Options;
  /** Canonical name of the source: an absolute URL, `s3://bucket/key`, `r2://binding/key`, or a path below a configured origin. */
  readonly source: string;
}

/** Most characters of a URL's path: nothing legitimate is longer, and CDNs refuse more. */
export const MAX_PATH = 8192;

const NAME = /^[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?$/;

/**
 * Reads one option's value. Errors: OPTION_INVALID, naming the option and what it takes.
 */
export function parseOption(name: OptionName, text: string): string | number {
  const spec: OptionSpec = OPTIONS[name];
  if (spec.kind === 'name') {
    if (NAME.test(text)) return text;
    throw invalidOption(name, 'a name of lower-case letters, digits, - and _', text);
  }
  const value = readOption(spec, text);
  if (value === undefined) throw invalidOption(name, expectedText(spec), text);
  return value;
}

/**
 * Reads the options segment, `name=value,…`, in any order and with aliases.
 * Errors: OPTION_INVALID for an unknown name, a bad value, an option given twice, or none at all.
 */
export function parseOptions(segment: string): Options {
  const options: Record<string, string | number> = {};
  for (const part of segment.split(',')) {
    const equals = part.indexOf('=');
    const spelling = equals < 0 ? part : part.slice(0, equals);
    const name = OPTION_BY_SPELLING.get(spelling);
    if (name === undefined || equals < 0) {
      const near = closestName(spelling, OPTION_NAMES);
      const advice =
        near && equals > 0
          ? `did you mean ${near}?`
          : `write name=value with a name out of ${OPTION_NAMES.join(', ')}.`;
      throw new ElfinError('OPTION_INVALID', `"${part.slice(0, 40)}" is no option: ${advice}`);
    }
    if (name in options) throw new ElfinError('OPTION_INVALID', `The option "${name}" is given twice; give it once.`);
    options[name] = parseOption(name, part.slice(equals + 1));
  }
  return options as Options;
}

/** Writes options in canonical form: the table's order, full names, the shortest numbers. Empty where nothing is given. */
export function formatOptions(options: Options): string {
  return OPTION_NAMES.filter((name) => options[name] !== undefined)
    .map((name) => {
      const spec: OptionSpec = OPTIONS[name];
      const value = options[name]!;
      return `${name}=${spec.kind === 'name' ? value : writeOption(spec, value)}`;
    })
    .join(',');
}

function decode(text: string, what: string): string {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw new ElfinError('URL_INVALID', `The ${what} is not valid percent-encoded UTF-8.`, { cause });
  }
}

function decodeBase64(text: string): string {
  try {
    if (!/^[A-Za-z0-9_-]+$/.test(text)) throw new Error('alphabet');
    const binary = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
      Uint8Array.from(binary, (character) => character.charCodeAt(0)),
    );
  } catch (cause) {
    throw new ElfinError('URL_INVALID', 'The source after "b64:" is not base64url of UTF-8 text.', { cause });
  }
}

/**
 * Reads what follows the prefix: `<options>/<source>`, as the request's path spells it (still percent-encoded).
 * The source is one `encodeURIComponent` segment, `b64:<base64url>`, or a raw `https:/…` URL without a query.
 * Errors: URL_INVALID, URL_TOO_LONG, OPTION_INVALID.
 */
export function parseTransform(path: string): Transform {
  if (path.length > MAX_PATH) {
    throw new ElfinError('URL_TOO_LONG', `The URL's path is longer than ${MAX_PATH} characters.`);
  }
  const slash = path.indexOf('/');
  if (slash <= 0 || slash === path.length - 1) {
    throw new ElfinError('URL_INVALID', 'The URL must read <prefix>/<option>=<value>,…/<source>.');
  }
  const options = parseOptions(decode(path.slice(0, slash), 'options segment'));
  const rest = path.slice(slash + 1);
  const raw = /^(https?):\/{1,2}(?=[^/])/i.exec(rest);
  let source: string;
  if (raw) source = `${raw[1]}://${rest.slice(raw[0].length)}`;
  else if (rest.includes('/')) {
    throw new ElfinError('URL_INVALID', 'The source must be one segment: percent-encode it with encodeURIComponent.');
  } else if (rest.startsWith('b64:')) source = decodeBase64(rest.slice(4));
  else source = decode(rest, 'source');
  return { options, source: canonicalSource(source) };
}

/**
 * Writes the canonical path after the prefix; `parseTransform` reads it back to the same transform.
 * Errors: URL_INVALID for a source that no URL can name, OPTION_INVALID where no option is given or one is out of range.
 */
export function formatTransform(transform: Transform): string {
  const options = formatOptions(transform.options);
  const path = `${options}/${encodeURIComponent(canonicalSource(transform.source))}`;
  parseTransform(path);
  return path;
}
