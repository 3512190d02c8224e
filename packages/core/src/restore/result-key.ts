import { ElfinError, isElfinError } from '../base/errors.ts';
import { sha256 } from '../base/sha256.ts';
import { CLASSIFIER_DIGEST } from '../classify/digest.ts';
import { type ModelSize, type Models, TASKS, type Task } from '../model/models.ts';
import { MULTIPLE } from '../tiling/pad.ts';
import { DEFAULT_TILE, MOST_PASSES, mostOverlap, OVERLAP_MULTIPLE, SMALLEST_TILE } from '../tiling/plan.ts';

/**
 * Raised whenever the same weights, options and codec would give other pixels (a change to the graph's arithmetic or to the
 * tiling): every stored result is then made anew.
 */
const RESULT_VERSION = 3;
/** Longer sides, and tiles of longer sides, are not spoken of. */
const LONGEST_SIDE = 65_535;

interface Option<T> {
  /** The value in its one canonical spelling; undefined where it is not one. */
  readonly parse: (text: string) => T | undefined;
  readonly expected: string;
  /** Left out of the canonical form when equal to this. */
  readonly standard?: T;
  /** Where the option decides nothing, given the others; it is then left out. */
  readonly idle?: (options: ResultOptions) => boolean;
}

const notRestored = ({ restore }: ResultOptions) => restore === 'none';
const notTiled = (options: ResultOptions) => notRestored(options) || options.tiling === 'whole';

/** The options that decide the bytes of a result: one entry feeds type checks, parser and canonical form. */
const TABLE: { readonly [K in keyof ResultOptions]-?: Option<NonNullable<ResultOptions[K]>> } = {
  fit: {
    ...choice(['scale-down', 'contain', 'cover', 'crop', 'pad']),
    standard: 'scale-down',
    idle: ({ width, height }) => width === undefined && height === undefined,
  },
  format: choice(['jpeg', 'png', 'webp', 'avif', 'tiff']),
  height: whole(1, LONGEST_SIDE),
  metadata: { ...choice(['none', 'copyright', 'keep']), standard: 'none' },
  model: { ...choice(['lw', 'full']), standard: 'lw', idle: notRestored },
  overlap: { ...whole(0, LONGEST_SIDE, OVERLAP_MULTIPLE), idle: notTiled },
  passes: {
    ...whole(0, MOST_PASSES),
    idle: (options) => notTiled(options) || options.tiling === 'local',
  },
  quality: { ...whole(1, 100), idle: ({ format }) => format === 'png' || format === 'tiff' },
  restore: choice([...TASKS, 'auto', 'none']),
  strength: { ...fraction(), standard: 1, idle: notRestored },
  tile: { ...whole(SMALLEST_TILE, LONGEST_SIDE, MULTIPLE), idle: notTiled },
  tiling: { ...choice(['auto', 'local', 'global', 'whole']), standard: 'auto', idle: notRestored },
  width: whole(1, LONGEST_SIDE),
};

/** What decides the bytes of a result, beside the source, the weights and the codec. */
export interface ResultOptions {
  readonly restore: Task | 'auto' | 'none';
  /** The format written: `auto` is resolved before. */
  readonly format: 'jpeg' | 'png' | 'webp' | 'avif' | 'tiff';
  /** 0…1 in steps of 0.001; 1 where missing. */
  readonly strength?: number;
  /** `lw` where missing. */
  readonly model?: ModelSize;
  /** `auto` where missing; `tile`, `overlap` and `passes` are the planner's own choice where missing. */
  readonly tiling?: 'auto' | 'local' | 'global' | 'whole';
  readonly tile?: number;
  readonly overlap?: number;
  readonly passes?: number;
  /** Device pixels: a pixel ratio is multiplied in before. */
  readonly width?: number;
  readonly height?: number;
  /** `scale-down` where missing. */
  readonly fit?: 'scale-down' | 'contain' | 'cover' | 'crop' | 'pad';
  /** 1…100; the codec's own where missing. */
  readonly quality?: number;
  /** `none` where missing. */
  readonly metadata?: 'none' | 'copyright' | 'keep';
}

/**
 * The one spelling of `options`: sorted by name, without defaults and without options that decide nothing, as
 * `name=value,…`. Two sets of options with the same canonical form give the same bytes. Errors: OPTION_INVALID.
 */
export function canonicalOptions(options: ResultOptions): string {
  checkOverlap(options);
  return Object.entries(TABLE)
    .flatMap(([name, option]: [string, Option<unknown>]) => {
      const given = options[name as keyof ResultOptions];
      if (given === undefined) return [];
      const text = typeof given === 'number' ? String(Number(given.toFixed(3))) : String(given);
      const value = option.parse(text);
      if (value === undefined) throw invalid(name, String(given), option.expected);
      return value === option.standard || option.idle?.(options) ? [] : [`${name}=${value}`];
    })
    .join(',');
}

/**
 * Reads `name=value,…` in any order, as {@link canonicalOptions} writes it. Unknown or repeated names, values outside their
 * range and a missing `restore` or `format` are refused. Errors: OPTION_INVALID.
 */
export function parseResultOptions(text: string): ResultOptions {
  const read = new Map<string, unknown>();
  for (const pair of text.split(',')) {
    const [, name = '', raw = ''] = /^([a-z]+)=(.*)$/s.exec(pair) ?? [];
    const option: Option<unknown> | undefined = Object.hasOwn(TABLE, name)
      ? TABLE[name as keyof ResultOptions]
      : undefined;
    if (!option) {
      throw new ElfinError(
        'OPTION_INVALID',
        `"${pair.slice(0, 40)}" is no option of a result; known: ${Object.keys(TABLE).join(', ')}.`,
      );
    }
    if (read.has(name)) throw new ElfinError('OPTION_INVALID', `The option ${name} stands there twice; give it once.`);
    const value = option.parse(raw);
    if (value === undefined) throw invalid(name, raw, option.expected);
    read.set(name, value);
  }
  for (const name of ['restore', 'format'] as const) {
    if (!read.has(name)) throw invalid(name, 'nothing', TABLE[name].expected);
  }
  const options = Object.fromEntries(read) as unknown as ResultOptions;
  checkOverlap(options);
  return options;
}

/** As the planner would, with the tile that it takes where none is given. */
function checkOverlap(options: ResultOptions): void {
  const { overlap, tile = DEFAULT_TILE } = options;
  const most = mostOverlap(tile);
  if (overlap === undefined || !(overlap > most) || notTiled(options)) return;
  throw invalid('overlap', String(overlap), `at most ${most}, half of a tile of ${tile}`);
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

function choice<const T extends string>(values: readonly T[]): { parse: Option<T>['parse']; expected: string } {
  return {
    expected: `one of ${values.join(', ')}`,
    parse: (text) => values.find((value) => value === text),
  };
}

function whole(least: number, most: number, multiple = 1): { parse: Option<number>['parse']; expected: string } {
  return {
    expected: `a ${multiple === 1 ? 'whole number' : `multiple of ${multiple}`} from ${least} to ${most}`,
    parse: (text) => {
      const value = Number(text);
      return /^(0|[1-9]\d{0,6})$/.test(text) && value >= least && value <= most && value % multiple === 0
        ? value
        : undefined;
    },
  };
}

function fraction(): { parse: Option<number>['parse']; expected: string } {
  return {
    expected: 'a number from 0 to 1 with at most three decimals',
    parse: (text) => (/^(0|1|0\.\d{1,3}|1\.0{1,3})$/.test(text) ? Number(text) : undefined),
  };
}

function invalid(name: string, given: string, expected: string): ElfinError {
  return new ElfinError('OPTION_INVALID', `${name} must be ${expected}, not "${given.slice(0, 40)}".`);
}
