import { integerWords, invalidOption, isInteger } from '../base/check.ts';

/** Where an option can be said besides in code: transform URLs, rules for uploads, flags of the command line. */
export type Surface = 'url' | 'rule' | 'flag';

/** How a value is spelled and what it may be. */
export type ValueSpec =
  | { readonly kind: 'choice'; readonly values: readonly string[] }
  /** `words` stand beside the numbers. */
  | {
      readonly kind: 'integer';
      readonly words?: readonly string[];
      readonly min: number;
      readonly max: number;
      readonly multiple?: number;
    }
  | { readonly kind: 'decimal'; readonly min: number; readonly max: number; readonly decimals: number };

/** Options as they come, before or after they were checked. */
export type GivenOptions = { readonly [name: string]: string | number | undefined };

/** One row of the table of options. */
export type OptionRow = ValueSpec & {
  /** What applies where nothing is said, and is left out of the canonical form; `undefined` where it depends. */
  readonly default?: string | number;
  /** One sentence for the docs, the help and the OpenAPI document. */
  readonly about: string;
  /** Short spelling, taken in URLs and never written. */
  readonly alias?: string;
  /** Whose spelling this is, so that people who come from there feel at home. */
  readonly as: string;
  /** A value that parses, for the docs' examples and the tests. */
  readonly example: string;
  /** What it decides: `restoration` rows are fields of `RestoreOptions` by the same name, `tiling` rows of its `tiling`. */
  readonly group: 'restoration' | 'tiling' | 'encoding';
  readonly on: readonly Surface[];
  /** Where the option decides nothing, given the others. */
  readonly idle?: (options: GivenOptions) => boolean;
};

/** The values that a row takes. */
export type ValueOf<R> = R extends { readonly kind: 'choice'; readonly values: readonly (infer V)[] }
  ? V
  : R extends { readonly kind: 'integer'; readonly words: readonly (infer W)[] }
    ? number | W
    : R extends { readonly kind: 'integer' | 'decimal' }
      ? number
      : string;

const INTEGER = /^\d{1,7}$/;
const DECIMAL = /^-?\d{1,4}(?:\.(\d+))?$/;

/** Reads a value as URLs and flags spell it: no exponent, no spaces, no more decimals than the row has. */
export function readOption(spec: ValueSpec, text: string): string | number | undefined {
  if (spec.kind === 'choice') return spec.values.includes(text) ? text : undefined;
  if (spec.kind === 'integer' && spec.words?.includes(text)) return text;
  const [whole, places = ''] = (spec.kind === 'integer' ? INTEGER : DECIMAL).exec(text) ?? [];
  if (whole === undefined || (spec.kind === 'decimal' && places.length > spec.decimals)) return undefined;
  // No minus before zero, which would be another canonical form of the same.
  const value = Number(whole) || 0;
  return accepts(spec, value) ? value : undefined;
}

/** Writes a value in its one canonical spelling. */
export function writeOption(spec: ValueSpec, value: string | number): string {
  return typeof value === 'number' && spec.kind === 'decimal'
    ? String(Number(value.toFixed(spec.decimals)) || 0)
    : String(value);
}

/** Whether a value of code is one of the row's. Fractions may have any number of decimals. */
export function accepts(spec: ValueSpec, value: unknown): boolean {
  if (spec.kind === 'choice') return spec.values.includes(value as string);
  if (spec.kind === 'integer') return spec.words?.includes(value as string) || isInteger(value, spec);
  return typeof value === 'number' && value >= spec.min && value <= spec.max;
}

/** What a row takes, in words: `one of …`, `a whole number from … to …`. */
export function expectedOf(spec: ValueSpec): string {
  if (spec.kind === 'choice') return `one of ${spec.values.join(', ')}`;
  if (spec.kind === 'integer') return [...(spec.words ?? []), integerWords(spec)].join(' or ');
  return `a number from ${spec.min} to ${spec.max}`;
}

/** As {@link expectedOf}, of text, where decimals count. */
export function expectedText(spec: ValueSpec): string {
  return spec.kind === 'decimal' ? `${expectedOf(spec)} with at most ${spec.decimals} decimals` : expectedOf(spec);
}

/** Errors: OPTION_INVALID unless the row takes `value`; absent values pass. */
export function checkOption(name: string, spec: ValueSpec, value: unknown): void {
  if (value !== undefined && !accepts(spec, value)) throw invalidOption(name, expectedOf(spec), value);
}
