import { closestName, invalidOption } from '../base/check.ts';
import { ElfinError, isElfinError } from '../base/errors.ts';
import { sha256 } from '../base/sha256.ts';
import { CLASSIFIER_DIGEST } from '../classify/digest.ts';
import { type Models, TASKS } from '../model/models.ts';
import { expectedText, type GivenOptions, type OptionRow, readOption, writeOption } from '../options/row.ts';
import { RESULT_OPTIONS, type ResultOptionName, type ResultOptions } from '../options/table.ts';
import { DEFAULT_TILE, maxOverlap } from '../tiling/plan.ts';

/**
 * Raised whenever the same weights, options and codec would give other pixels (a change to the graph's arithmetic or to the
 * tiling): every stored result is then made anew.
 */
export const RESULT_VERSION = 4;

const ROWS: readonly (readonly [ResultOptionName, OptionRow])[] = (
  Object.entries(RESULT_OPTIONS) as [ResultOptionName, OptionRow][]
).toSorted(([one], [other]) => (one < other ? -1 : 1));

/**
 * The one spelling of `options`: sorted by name, without defaults and without options that decide nothing, as
 * `name=value,…`. Two sets of options with the same canonical form give the same bytes. Errors: OPTION_INVALID.
 */
export function canonicalOptions(options: ResultOptions): string {
  checkOverlap(options);
  const given: GivenOptions = options;
  return ROWS.flatMap(([name, row]) => {
    const asked = given[name];
    if (asked === undefined) return [];
    const text = writeOption(row, asked);
    const value = readOption(row, text);
    if (value === undefined) throw invalidOption(name, expectedText(row), asked);
    return value === row.default || row.idle?.(given) ? [] : [`${name}=${text}`];
  }).join(',');
}

/**
 * Reads `name=value,…` in any order, as {@link canonicalOptions} writes it. Unknown or repeated names, values outside their
 * range and a missing `restore` or `format` are refused. Errors: OPTION_INVALID.
 */
export function parseResultOptions(text: string): ResultOptions {
  const read = new Map<string, string | number>();
  for (const pair of text.split(',')) {
    const [, name = '', raw = ''] = /^([a-z]+)=(.*)$/s.exec(pair) ?? [];
    const row: OptionRow | undefined = Object.hasOwn(RESULT_OPTIONS, name)
      ? RESULT_OPTIONS[name as ResultOptionName]
      : undefined;
    if (!row) {
      const known = Object.keys(RESULT_OPTIONS);
      const near = closestName(name, known);
      throw new ElfinError(
        'OPTION_INVALID',
        `"${pair.slice(0, 40)}" is no option of a result; ${near ? `did you mean ${near}?` : `known: ${known.join(', ')}.`}`,
      );
    }
    if (read.has(name)) throw new ElfinError('OPTION_INVALID', `The option ${name} stands there twice; give it once.`);
    const value = readOption(row, raw);
    if (value === undefined) throw invalidOption(name, expectedText(row), raw);
    read.set(name, value);
  }
  for (const name of ['restore', 'format'] as const) {
    if (!read.has(name)) throw invalidOption(name, expectedText(RESULT_OPTIONS[name]), 'nothing');
  }
  const options = Object.fromEntries(read) as unknown as ResultOptions;
  checkOverlap(options);
  return options;
}

/** As the planner would, with the tile that it takes where none is given. */
function checkOverlap(options: ResultOptions): void {
  const { overlap, tile = DEFAULT_TILE } = options;
  const most = maxOverlap(tile);
  if (overlap === undefined || !(overlap > most) || RESULT_OPTIONS.overlap.idle(options)) return;
  throw invalidOption('overlap', `at most ${most}, half of a tile of ${tile}`, overlap);
}

/** What tells two states of one source apart: its version id or strong ETag, else the digest of its bytes. */
export type SourceValidator =
  | { readonly version: string }
  | { readonly etag: string }
  /** SHA-256 of the bytes, lower-case hex; see {@link sha256}. */
  | { readonly sha256: string };

export interface ResultIdentity {
  /** The source's canonical name, for example `https://host/path` or `s3://bucket/key`. */
  readonly source: string;
  readonly validator: SourceValidator;
  readonly options: ResultOptions;
  /**
   * Digests of all weights that may decide the pixels, in any order: one for a task, none for `restore: 'none'`,
   * every candidate's for `auto`. The classifier that chooses among these is reckoned in by itself.
   */
  readonly models: readonly string[];
  readonly codec: { readonly name: string; readonly version: string };
}

/**
 * Digests of all weights that may decide a result's pixels: one for a task, every task's that there is for `auto`.
 * Errors: those of `resolve`; MODEL_UNKNOWN for `auto` only where there is no model at all.
 */
export async function resultModels(
  models: Models,
  { restore, model = 'lw' }: Pick<ResultOptions, 'restore' | 'model'>,
): Promise<readonly string[]> {
  if (restore === 'none') return [];
  if (restore !== 'auto') return [(await models.resolve(restore, model)).digest];
  const found = await Promise.allSettled(TASKS.map((task) => models.resolve(task, model)));
  const known = found.flatMap((one) => (one.status === 'fulfilled' ? [one.value.digest] : []));
  const failures = found.flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : []));
  // A model that cannot be had for the moment must not give the result another name.
  const failure = failures.find((error) => !(isElfinError(error) && error.code === 'MODEL_UNKNOWN'));
  if (failure !== undefined || known.length === 0) throw failure ?? failures[0];
  return known;
}

/**
 * The key of a result: 64 hex digits, a SHA-256 over everything that decides its bytes. Fields are framed as JSON, so that no
 * two different identities can run together into one text. Errors: OPTION_INVALID.
 */
export async function resultKey(identity: ResultIdentity): Promise<string> {
  const { source, validator, options, models, codec } = identity;
  const [[kind, value] = ['', '']] = Object.entries(validator);
  if (!value || (kind === 'etag' && value.startsWith('W/'))) {
    throw new ElfinError(
      'OPTION_INVALID',
      `${kind} "${value}" does not pin the bytes of ${source}; give a version id, a strong ETag or sha256.`,
    );
  }
  const parts = [
    ['elfin-result', RESULT_VERSION],
    ['source', source],
    [kind, value],
    ['options', canonicalOptions(options)],
    ['models', ...models.toSorted()],
    ...(options.restore === 'auto' ? [['classifier', CLASSIFIER_DIGEST]] : []),
    ['codec', codec.name, codec.version],
  ];
  return sha256(new TextEncoder().encode(JSON.stringify(parts)));
}
