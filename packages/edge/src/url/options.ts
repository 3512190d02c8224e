import { type OptionRow, optionsOn, type ValueOf, type ValueSpec } from '@elfin/core';

/** One row of {@link OPTIONS}: how a value is spelled, what it may be, and what the docs say of it. */
export type OptionSpec = Pick<OptionRow, 'alias' | 'default' | 'about' | 'as' | 'example'> &
  (ValueSpec | { readonly kind: 'name' });

const SHARED = optionsOn('url');

/**
 * Every option a transform URL may carry: the rows that decide a result's bytes, out of core's table, and those that say how it is
 * asked for. The parser, the canonical form, the types, docs/urls.md, the OpenAPI document and the tests are all derived from this
 * table; its order is the canonical order.
 */
export const OPTIONS = {
  preset: {
    kind: 'name',
    about: 'A set of options that the server has under this name; options beside it win over the preset.',
    as: 'imgproxy',
    example: 'thumb',
  },
  ...SHARED,
  restore: { ...SHARED.restore, default: 'none' },
  width: { ...SHARED.width, max: 8192, about: 'Width of the result in CSS pixels, multiplied by `dpr`.' },
  height: { ...SHARED.height, max: 8192, about: 'Height of the result in CSS pixels, multiplied by `dpr`.' },
  format: {
    ...SHARED.format,
    values: ['auto', 'avif', 'webp', 'jpeg', 'png', 'json'],
    default: 'auto',
    about:
      'The result’s format; `auto` takes the best that `Accept` names, and otherwise JPEG, or PNG for an image with alpha. `json` answers what was done instead of the image.',
  },
  dpr: {
    kind: 'decimal',
    min: 0.5,
    max: 4,
    decimals: 2,
    default: 1,
    about: 'Device pixels per CSS pixel.',
    as: 'Cloudflare',
    example: '2',
  },
  animated: {
    kind: 'choice',
    values: ['first'],
    about: 'Takes the first frame of an animation, which is otherwise refused.',
    as: 'elfin',
    example: 'first',
  },
  onerror: {
    kind: 'choice',
    values: ['redirect'],
    about: 'Answers a failure with a redirect to the source, where the source is an http(s) URL.',
    as: 'Cloudflare',
    example: 'redirect',
  },
  pending: {
    kind: 'choice',
    values: ['original', 'wait', '423', '202'],
    default: 'original',
    about:
      'What to answer while the restoration takes longer than a page waits: the source in the same size and format, nothing until done, or that status.',
    as: 'elfin',
    example: 'wait',
  },
} as const satisfies Record<string, OptionSpec>;

export type OptionName = keyof typeof OPTIONS;

/** Options as a URL or a preset gives them: only what is said is there. */
export type Options = { readonly [K in OptionName]?: ValueOf<(typeof OPTIONS)[K]> | undefined };

/** The options in canonical order. */
export const OPTION_NAMES = Object.keys(OPTIONS) as readonly OptionName[];

/** Finds a row by its name or alias. */
export const OPTION_BY_SPELLING: ReadonlyMap<string, OptionName> = new Map(
  OPTION_NAMES.flatMap((name) => {
    const spec: OptionSpec = OPTIONS[name];
    return spec.alias === undefined ? [[name, name]] : [[name, name] as const, [spec.alias, name] as const];
  }),
);
