/** One row of {@link OPTIONS}: how a value is spelled, what it may be, and what the docs say of it. */
export type OptionSpec = {
  /** Short spelling, accepted in URLs and never written. */
  readonly alias?: string;
  /** What applies where neither the URL nor its preset says anything; for the docs, `undefined` where it depends. */
  readonly default?: string | number;
  /** One sentence for docs/urls.md and the OpenAPI document. */
  readonly about: string;
  /** Whose spelling this is, so that people who come from there feel at home. */
  readonly as: string;
  /** A value that parses, used by the docs' examples and by the tests. */
  readonly example: string;
} & (
  | { readonly kind: 'choice'; readonly values: readonly string[] }
  | { readonly kind: 'integer'; readonly min: number; readonly max: number }
  | { readonly kind: 'decimal'; readonly min: number; readonly max: number }
  | { readonly kind: 'name' }
);

/**
 * Every option a transform URL may carry. The parser, the canonical form, the types, docs/urls.md, the OpenAPI document
 * and the tests are all derived from this table; its order is the canonical order.
 */
export const OPTIONS = {
  preset: {
    kind: 'name',
    about: 'A set of options that the server has under this name; options beside it win over the preset.',
    as: 'imgproxy',
    example: 'thumb',
  },
  restore: {
    kind: 'choice',
    values: ['derain', 'lowlight', 'underwater', 'auto', 'none'],
    default: 'none',
    about: 'What the image is restored from; `auto` lets the server decide, `none` only resizes and encodes.',
    as: 'elfin',
    example: 'derain',
  },
  strength: {
    kind: 'decimal',
    min: 0,
    max: 1,
    default: 1,
    about: 'How much of the restoration is blended into the source: 0 is the source, 1 the network’s output.',
    as: 'Cloudinary, Uploadcare',
    example: '0.8',
  },
  model: {
    kind: 'choice',
    values: ['lw', 'full'],
    default: 'lw',
    about: 'The light network or the full one.',
    as: 'elfin',
    example: 'full',
  },
  width: {
    alias: 'w',
    kind: 'integer',
    min: 1,
    max: 8192,
    about: 'Width of the result in CSS pixels, multiplied by `dpr`.',
    as: 'Cloudflare, ipx',
    example: '1200',
  },
  height: {
    alias: 'h',
    kind: 'integer',
    min: 1,
    max: 8192,
    about: 'Height of the result in CSS pixels, multiplied by `dpr`.',
    as: 'Cloudflare, ipx',
    example: '800',
  },
  fit: {
    kind: 'choice',
    values: ['scale-down', 'contain', 'cover', 'crop', 'pad'],
    default: 'scale-down',
    about:
      'How the image meets `width` × `height`: `scale-down` and `contain` fit inside (the first never enlarges), `cover` fills and cuts, `crop` is a `cover` that never enlarges, `pad` fits inside and fills up with white, or with nothing where the format has alpha.',
    as: 'Cloudflare',
    example: 'cover',
  },
  dpr: {
    kind: 'decimal',
    min: 0.5,
    max: 4,
    default: 1,
    about: 'Device pixels per CSS pixel.',
    as: 'Cloudflare',
    example: '2',
  },
  format: {
    alias: 'f',
    kind: 'choice',
    values: ['auto', 'avif', 'webp', 'jpeg', 'png', 'json'],
    default: 'auto',
    about:
      'The result’s format; `auto` takes the best that `Accept` names, and otherwise JPEG, or PNG for an image with alpha. `json` answers what was done instead of the image.',
    as: 'Cloudflare, ipx',
    example: 'webp',
  },
  quality: {
    alias: 'q',
    kind: 'integer',
    min: 1,
    max: 100,
    about: 'The encoder’s quality; where nothing is said, the codec’s own default for the format. PNG has none.',
    as: 'Cloudflare, ipx',
    example: '75',
  },
  metadata: {
    kind: 'choice',
    values: ['none', 'copyright', 'keep'],
    default: 'none',
    about: 'What survives of the source’s EXIF, XMP and IPTC. Orientation is always applied.',
    as: 'Cloudflare',
    example: 'copyright',
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

type Value<S> = S extends { readonly kind: 'choice'; readonly values: readonly (infer V)[] }
  ? V
  : S extends { readonly kind: 'integer' | 'decimal' }
    ? number
    : string;

export type OptionName = keyof typeof OPTIONS;

/** Options as a URL or a preset gives them: only what is said is there. */
export type Options = { readonly [K in OptionName]?: Value<(typeof OPTIONS)[K]> };

/** The options in canonical order. */
export const OPTION_NAMES = Object.keys(OPTIONS) as readonly OptionName[];

/** Finds a row by its name or alias. */
export const OPTION_BY_SPELLING: ReadonlyMap<string, OptionName> = new Map(
  OPTION_NAMES.flatMap((name) => {
    const spec: OptionSpec = OPTIONS[name];
    return spec.alias === undefined ? [[name, name]] : [[name, name] as const, [spec.alias, name] as const];
  }),
);
