import { ElfinError, type OutputFormat } from '@elfin/core';

/** File name endings of the formats that elfin writes. */
export const EXTENSIONS: Readonly<Record<OutputFormat, string>> = {
  jpeg: 'jpg',
  png: 'png',
  webp: 'webp',
  avif: 'avif',
  tiff: 'tif',
};

/** What a template's placeholders stand for. */
export interface TemplateValues {
  /** The source's whole key. */
  readonly key: string;
  /** Of {@link digest8} the whole: 64 hexadecimal digits. */
  readonly digest: string;
  readonly ext: string;
  readonly task: string;
}

const PLACEHOLDER = /\{([^{}]*)\}/g;
const NAMES = ['key', 'dir', 'name', 'stem', 'digest', 'digest8', 'ext', 'task'] as const;
type Name = (typeof NAMES)[number];

type Needs = (names: ReadonlySet<string>) => string | undefined;

const namesSource = (names: ReadonlySet<string>) =>
  names.has('key') || (names.has('dir') && (names.has('name') || names.has('stem')));

/** A destination is immutable: another version of the source, or another source, must get another name. */
export const DESTINATION_NEEDS: Needs = (names) => {
  if (names.has('digest')) return undefined;
  if (!names.has('digest8'))
    return 'it needs {digest8} or {digest}, else a new upload could not get a result of its own';
  return namesSource(names)
    ? undefined
    : 'beside {digest8} it needs {key}, or {dir} with {name}, else two sources could share a name';
};

/** An alias is stable: the same for every version of the source. No digest tells `a.jpg` from `a.jpeg` here, so {stem} is not enough. */
export const ALIAS_NEEDS: Needs = (names) => {
  if (names.has('digest') || names.has('digest8')) return 'it must not contain a digest, since it stays the same';
  return names.has('key') || (names.has('dir') && names.has('name'))
    ? undefined
    : 'it needs {key}, or {dir} with {name}, else two sources could share a name';
};

/** @throws CONFIG_INVALID for unknown placeholders, stray braces, and what `needs` says. */
export function assertTemplate(rule: string, field: string, template: string, needs: Needs): void {
  const names = [...template.matchAll(PLACEHOLDER)].map(([, name]) => name!);
  const unknown = names.find((name) => !(NAMES as readonly string[]).includes(name));
  const stray = /[{}]/.test(template.replace(PLACEHOLDER, ''));
  const reason =
    unknown !== undefined
      ? `{${unknown}} is none of ${NAMES.map((name) => `{${name}}`).join(' ')}`
      : stray
        ? 'it has a brace without its partner'
        : needs(new Set(names));
  if (reason !== undefined) {
    throw new ElfinError('CONFIG_INVALID', `${rule}: ${field} "${template}" cannot be used: ${reason}.`);
  }
  assertSafeKey(template.replace(PLACEHOLDER, 'x'), `${rule}: ${field}`, 'CONFIG_INVALID');
}

/** Fills a template. @throws KEY_UNSAFE where the outcome would leave its place. */
export function expand(template: string, values: TemplateValues): string {
  const slash = values.key.lastIndexOf('/');
  const name = values.key.slice(slash + 1);
  const dot = name.lastIndexOf('.');
  const all: Record<Name, string> = {
    key: values.key,
    dir: slash < 0 ? '' : values.key.slice(0, slash),
    name,
    stem: dot > 0 ? name.slice(0, dot) : name,
    digest: values.digest,
    digest8: values.digest.slice(0, 8),
    ext: values.ext,
    task: values.task,
  };
  const key = template.replace(PLACEHOLDER, (_, placeholder: Name) => all[placeholder]).replace(/^\/+/, '');
  assertSafeKey(key, `The result of "${values.key}"`, 'KEY_UNSAFE');
  return key;
}

// S3's limit, in bytes of UTF-8.
const LONGEST_KEY = 1024;

/**
 * S3 takes `a/../b` for a name like any other, but gateways over a file system, proxies and whoever syncs a bucket to a
 * disk walk it. So a destination has no segment `.` or `..` (also between backslashes) and no control character.
 *
 * @throws the given code.
 */
export function assertSafeKey(key: string, whose: string, code: 'KEY_UNSAFE' | 'CONFIG_INVALID'): void {
  const fail = (reason: string) =>
    new ElfinError(code, `${whose} cannot be stored: ${reason}; rename it.`, { data: { key } });
  if (hasDots(key)) throw fail('a "." or ".." in its path could lead outside its prefix');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for.
  if (/[\u0000-\u001f\u007f]/.test(key)) throw fail('it contains a control character');
  if (!key.isWellFormed()) throw fail('it is not well-formed Unicode');
  const bytes = new TextEncoder().encode(key).length;
  if (bytes > LONGEST_KEY) throw fail(`its name would take ${bytes} bytes, more than the ${LONGEST_KEY} of S3`);
}

const hasDots = (key: string) => key.split(/[/\\]/).some((segment) => segment === '..' || segment === '.');

/** @throws KEY_UNSAFE for a name that a server may take for another object's: it is not even asked for. */
export function assertReadableKey(key: string): void {
  if (!hasDots(key)) return;
  const message = `"${key}" cannot be read: a "." or ".." in its path could lead to another object; rename it.`;
  throw new ElfinError('KEY_UNSAFE', message, { data: { key } });
}

/** What every expansion begins with. */
export const literalPrefix = (template: string) => template.slice(0, `${template}{`.indexOf('{')).replace(/^\/+/, '');

/** What an expansion may end with, lower case; the empty string stands for anything. */
export function possibleTails(template: string, format: OutputFormat | 'auto'): readonly string[] {
  const extensions = format === 'auto' ? Object.values(EXTENSIONS) : [EXTENSIONS[format]];
  return extensions.map((ext) => {
    const known = template.replaceAll('{ext}', ext);
    return known.slice(known.lastIndexOf('}') + 1).toLowerCase();
  });
}
