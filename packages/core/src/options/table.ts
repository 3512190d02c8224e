import { TASKS } from '../model/models.ts';
import { MULTIPLE } from '../tiling/pad.ts';
import { MAX_OVERLAP, MAX_PASSES, MAX_TILE, MIN_TILE, OVERLAP_MULTIPLE, TILING_MODES } from '../tiling/plan.ts';
import type { GivenOptions, OptionRow, Surface, ValueOf } from './row.ts';

const notRestored = ({ restore }: GivenOptions) => restore === 'none';
const notTiled = (options: GivenOptions) => notRestored(options) || options.tiling === 'whole';
/** Longer sides are not spoken of. */
const MAX_SIDE = 65_535;

/**
 * Every option that decides the bytes of a result. Canonical options and result keys, the checks of the SDK, the options of URLs,
 * the flags of the command line, the rules for uploads and the docs of all of them are derived from this table; its order is the
 * order of URLs. A new option is a row here, its field in `RestoreOptions`, and what it does.
 */
export const RESULT_OPTIONS = {
  restore: {
    group: 'restoration',
    kind: 'choice',
    values: [...TASKS, 'auto', 'none'],
    about: 'What the image is restored from; `auto` looks and decides, `none` only resizes and encodes.',
    as: 'elfin',
    example: 'derain',
    on: ['url'],
  },
  strength: {
    group: 'restoration',
    kind: 'decimal',
    min: 0,
    max: 1,
    decimals: 3,
    default: 1,
    about: 'How much of the restoration is blended into the source: 0 is the source, 1 the network’s output.',
    as: 'Cloudinary, Uploadcare',
    example: '0.8',
    on: ['url', 'rule', 'flag'],
    idle: notRestored,
  },
  exposure: {
    group: 'restoration',
    kind: 'decimal',
    min: -2,
    max: 2,
    decimals: 2,
    default: 0,
    about:
      'Of `lowlight`: stops (EV) of light more or less than the model’s own choice, in linear light; white stays white.',
    as: 'Lightroom',
    example: '0.5',
    on: ['url', 'rule', 'flag'],
    idle: notRestored,
  },
  resolution: {
    group: 'restoration',
    kind: 'integer',
    words: ['auto', 'full'],
    min: 64,
    max: 8192,
    default: 'auto',
    about:
      'The size at which the network sees the image: `full`, or its short side in pixels, at most the image’s; `auto` goes by what the weights were trained on. Size and sharpness of the result stay the source’s.',
    as: 'elfin',
    example: '720',
    on: ['url', 'rule', 'flag'],
    idle: notRestored,
  },
  model: {
    group: 'restoration',
    kind: 'choice',
    values: ['lw', 'full'],
    default: 'lw',
    about: 'The light network or the full one.',
    as: 'elfin',
    example: 'full',
    on: ['url', 'rule'],
    idle: notRestored,
  },
  tiling: {
    group: 'tiling',
    kind: 'choice',
    values: TILING_MODES,
    default: 'auto',
    about: 'How large images are cut; see docs/tiling.md.',
    as: 'elfin',
    example: 'global',
    on: ['flag'],
    idle: notRestored,
  },
  tile: {
    group: 'tiling',
    kind: 'integer',
    min: MIN_TILE,
    max: MAX_TILE,
    multiple: MULTIPLE,
    about: 'Side of a tile in pixels.',
    as: 'elfin',
    example: '512',
    on: ['flag'],
    idle: notTiled,
  },
  overlap: {
    group: 'tiling',
    kind: 'integer',
    min: 0,
    max: MAX_OVERLAP,
    multiple: OVERLAP_MULTIPLE,
    about: 'Pixels that neighbouring tiles share, at most half a tile.',
    as: 'elfin',
    example: '64',
    on: ['flag'],
    idle: notTiled,
  },
  passes: {
    group: 'tiling',
    kind: 'integer',
    min: 0,
    max: MAX_PASSES,
    about: 'Statistics sweeps of `global` tiling.',
    as: 'elfin',
    example: '1',
    on: ['flag'],
    idle: (options) => notTiled(options) || options.tiling === 'local',
  },
  width: {
    group: 'encoding',
    alias: 'w',
    kind: 'integer',
    min: 1,
    max: MAX_SIDE,
    about: 'Width of the result in pixels.',
    as: 'Cloudflare, ipx',
    example: '1200',
    on: ['url'],
  },
  height: {
    group: 'encoding',
    alias: 'h',
    kind: 'integer',
    min: 1,
    max: MAX_SIDE,
    about: 'Height of the result in pixels.',
    as: 'Cloudflare, ipx',
    example: '800',
    on: ['url'],
  },
  fit: {
    group: 'encoding',
    kind: 'choice',
    values: ['scale-down', 'contain', 'cover', 'crop', 'pad'],
    default: 'scale-down',
    about:
      'How the image meets `width` × `height`: `scale-down` and `contain` fit inside (the first never enlarges), `cover` fills and cuts, `crop` is a `cover` that never enlarges, `pad` fits inside and fills up with white, or with nothing where the format has alpha.',
    as: 'Cloudflare',
    example: 'cover',
    on: ['url'],
    idle: ({ width, height }) => width === undefined && height === undefined,
  },
  format: {
    group: 'encoding',
    alias: 'f',
    kind: 'choice',
    values: ['jpeg', 'png', 'webp', 'avif', 'tiff'],
    about: 'The result’s format.',
    as: 'Cloudflare, ipx',
    example: 'webp',
    on: ['url', 'rule', 'flag'],
  },
  quality: {
    group: 'encoding',
    alias: 'q',
    kind: 'integer',
    min: 1,
    max: 100,
    about:
      'The encoder’s quality; where nothing is said, the codec’s own default for the format. PNG and TIFF have none.',
    as: 'Cloudflare, ipx',
    example: '75',
    on: ['url', 'rule', 'flag'],
    idle: ({ format }) => format === 'png' || format === 'tiff',
  },
  icc: {
    group: 'encoding',
    kind: 'choice',
    values: ['keep', 'srgb'],
    default: 'keep',
    about: 'Whether the result keeps the source’s colour profile and its range, or is converted to sRGB.',
    as: 'elfin',
    example: 'srgb',
    on: ['url', 'rule', 'flag'],
  },
  metadata: {
    group: 'encoding',
    kind: 'choice',
    values: ['none', 'copyright', 'keep'],
    default: 'none',
    about: 'What survives of the source’s EXIF, XMP and IPTC. Orientation is always applied.',
    as: 'Cloudflare',
    example: 'copyright',
    on: ['url', 'rule', 'flag'],
  },
} as const satisfies Record<string, OptionRow>;

type Table = typeof RESULT_OPTIONS;

/** A name of the table. */
export type ResultOptionName = keyof Table;

/** The names in the order of the table. */
export const RESULT_OPTION_NAMES = Object.keys(RESULT_OPTIONS) as readonly ResultOptionName[];

/**
 * What decides the bytes of a result, beside the source, the weights and the codec; see {@link RESULT_OPTIONS}. `format` is the one that
 * is written (`auto` is resolved before), `width` and `height` are device pixels (a pixel ratio is multiplied in before).
 */
export type ResultOptions = {
  readonly [K in 'restore' | 'format']: ValueOf<Table[K]>;
} & {
  readonly [K in Exclude<ResultOptionName, 'restore' | 'format'>]?: ValueOf<Table[K]> | undefined;
};

/** The rows that can be said at a surface. */
export type RowsOn<S extends Surface> = {
  readonly [K in ResultOptionName as S extends Table[K]['on'][number] ? K : never]: Table[K];
};

/** The rows that can be said at `surface`, in the order of the table. */
export function optionsOn<S extends Surface>(surface: S): RowsOn<S> {
  const rows = Object.entries(RESULT_OPTIONS).filter(([, { on }]) => (on as readonly Surface[]).includes(surface));
  return Object.fromEntries(rows) as unknown as RowsOn<S>;
}

/** Those of `given` that are names of the table and have a value. */
export function pickResultOptions(given: object): Partial<ResultOptions> {
  const all = given as GivenOptions;
  return Object.fromEntries(
    RESULT_OPTION_NAMES.filter((name) => all[name] !== undefined).map((name) => [name, all[name]]),
  ) as Partial<ResultOptions>;
}
