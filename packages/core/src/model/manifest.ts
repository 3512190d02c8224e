import { ElfinError } from '../base/errors.ts';
import { type ModelSize, TASKS, type Task } from './models.ts';

/** The names of the four network variants; presets.ts holds their configurations. */
export const PRESETS = ['elf', 'elf-prelu', 'elf-lw', 'alformer'] as const;
/** A network with published wiring and sizes; see {@link CONFIGS}. */
export type PresetName = (typeof PRESETS)[number];

/** How the weights file stores its numbers. */
export const STORAGE_DTYPES = ['float32', 'float16'] as const;
/** How weights are stored; arithmetic is float32 either way. */
export type StorageDtype = (typeof STORAGE_DTYPES)[number];

/** `manifest.json` of a model folder: what the weights are, whence, and how good. */
export interface Manifest {
  readonly format: 1;
  readonly preset: PresetName;
  readonly task: Task;
  /** Free word that tells trainings of one preset and task apart, for example `start`: {@link VARIANT}. */
  readonly variant: string;
  /** Side in pixels of the last training phase's crops: decides `local` tiling. A multiple of 16. */
  readonly crop: number;
  /** The scales of the training pictures: decides at which size large pictures are seen. By the task where it is missing. */
  readonly trained?: Trained | undefined;
  /** SHA-256 of `weights.safetensors`, lower-case hex. */
  readonly sha256: string;
  readonly dtype: StorageDtype;
  /** SPDX expression, or a plain phrase where none fits. */
  readonly license: string;
  /** The data sets trained on, with their licences. */
  readonly data: readonly DataSource[];
  /** Measured scores, each with its set and protocol. */
  readonly scores: readonly Score[];
}

/** At which scales a model has seen pictures. */
export interface Trained {
  /** Least and largest short side in pixels of the pictures that crops were taken from, when they reached the network. */
  readonly sides: readonly [number, number];
  /** By how much degraded pictures were shrunk at most before the network saw them; 1 where they never were. */
  readonly shrink: number;
}

/** One set of images that a model was trained on. */
export interface DataSource {
  readonly name: string;
  readonly license: string;
}

/** One measurement of a model on one set. */
export interface Score {
  /** What was measured on, for example `val-heavy`. */
  readonly set: string;
  /** What was measured and how, for example `psnr-y`. */
  readonly metric: string;
  /** The degraded input's score, where the metric has one. */
  readonly input?: number;
  readonly output: number;
}

/** Lower-case letters, digits, dots and inner hyphens, at most 40: it stands in names, URLs and paths. */
export const VARIANT = /^[a-z0-9](?:[a-z0-9.-]{0,38}[a-z0-9])?$/;

/**
 * Checks a manifest, strictly: unknown fields are refused as well, so that a slip of the pen is not a silent default.
 * @param input the parsed object, or the JSON text
 * @param where what the manifest is called in errors, for example its path
 * @throws MANIFEST_INVALID naming the field's path and what belongs there
 */
export function parseManifest(input: unknown, where = 'manifest.json'): Manifest {
  const root = spelled(object(typeof input === 'string' ? parseJson(input, where) : input, { where, path: '' }));
  const field = <T>(name: string, parse: Parse<T>): T => parse(root[name], { where, path: name });
  const manifest: Manifest = {
    format: field('format', oneOf([1])),
    preset: field('preset', oneOf(PRESETS)),
    task: field('task', oneOf(TASKS)),
    variant: field('variant', matching(VARIANT, 'a word of at most 40 letters a–z, digits, dots and inner hyphens')),
    crop: field('crop', (value, place) => {
      const crop = number(value, place);
      return crop >= 16 && crop <= 4096 && crop % 16 === 0
        ? crop
        : expected('a multiple of 16 from 16 to 4096', crop, place);
    }),
    ...(root.trained !== undefined && { trained: field('trained', parseTrained) }),
    sha256: field('sha256', matching(/^[0-9a-f]{64}$/, '64 lower-case hexadecimal digits')),
    dtype: field('dtype', oneOf(STORAGE_DTYPES)),
    license: field('license', text),
    data: field('data', listOf(parseSource)),
    scores: field('scores', listOf(parseScore)),
  };
  refuseOthers(root, Object.keys(manifest), { where, path: '' });
  return manifest;
}

/** `lw` for `elf-lw`, the paper's light network; `full` for every other preset, all of the paper's full width. */
export function modelSize(preset: PresetName): ModelSize {
  return preset === 'elf-lw' ? 'lw' : 'full';
}

/** The variant that marks a model whose bytes are a graph instead of weights. */
export const ONNX_VARIANT = 'onnx';

/** True for a model out of an ONNX file. */
export function isOnnxModel({ variant }: Manifest): boolean {
  return variant === ONNX_VARIANT;
}

/** What names a model: {@link modelName} spells it. */
export interface ModelName {
  readonly task: Task;
  readonly size: ModelSize;
  readonly variant: string;
  /** First twelve digits of the weights' SHA-256. */
  readonly digest12: string;
}

/** `<task>-<size>-<variant>-<digest12>`, for example `derain-lw-start-0123456789ab`. */
export function modelName({ task, preset, variant, sha256 }: Manifest): string {
  return `${task}-${modelSize(preset)}-${variant}-${sha256.slice(0, 12)}`;
}

const NAME = new RegExp(`^(${TASKS.join('|')})-(lw|full)-(.+)-([0-9a-f]{12})$`);

/** Takes a model's name apart; undefined where it is none. */
export function parseModelName(name: string): ModelName | undefined {
  const [, task, size, variant, digest12] = NAME.exec(name) ?? [];
  if (!variant || !digest12 || !VARIANT.test(variant)) return undefined;
  return { task: task as Task, size: size as ModelSize, variant, digest12 };
}

interface Place {
  readonly where: string;
  /** Dots and indices, for example `data[0].license`; empty at the root. */
  readonly path: string;
}
type Parse<T> = (value: unknown, place: Place) => T;

function parseJson(input: string, where: string): unknown {
  try {
    return JSON.parse(input);
  } catch (cause) {
    throw new ElfinError('MANIFEST_INVALID', `${where} is not JSON.`, { cause });
  }
}

const parseTrained: Parse<Trained> = (value, place) => {
  const trained = object(value, place);
  refuseOthers(trained, ['sides', 'shrink'], place);
  const sides = listOf(number)(trained.sides, inside(place, 'sides'));
  const [least, most] = sides;
  const shrink = number(trained.shrink, inside(place, 'shrink'));
  if (sides.length !== 2 || !(least! >= 16 && most! >= least!))
    return expected('two sides, 16 or more, the smaller first', trained.sides, inside(place, 'sides'));
  if (!(shrink >= 1)) return expected('a number from 1 up', shrink, inside(place, 'shrink'));
  return { sides: [least!, most!], shrink };
};

const parseSource: Parse<DataSource> = (value, place) => {
  const source = spelled(object(value, place));
  refuseOthers(source, ['name', 'license'], place);
  return {
    name: text(source.name, inside(place, 'name')),
    license: text(source.license, inside(place, 'license')),
  };
};

/** `licence`, which manifests had before SPDX's spelling, as `license`; given both ways it is a field too many. */
function spelled(fields: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const { licence, ...rest } = fields;
  return licence === undefined || 'license' in rest ? fields : { ...rest, license: licence };
}

const parseScore: Parse<Score> = (value, place) => {
  const score = object(value, place);
  refuseOthers(score, ['set', 'metric', 'input', 'output'], place);
  return {
    set: text(score.set, inside(place, 'set')),
    metric: text(score.metric, inside(place, 'metric')),
    ...(score.input !== undefined && { input: number(score.input, inside(place, 'input')) }),
    output: number(score.output, inside(place, 'output')),
  };
};

function object(value: unknown, place: Place): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return expected('an object', value, place);
  return value as Record<string, unknown>;
}

function listOf<T>(parse: Parse<T>): Parse<readonly T[]> {
  return (value, place) => {
    if (!Array.isArray(value)) return expected('a list', value, place);
    return value.map((item, i) => parse(item, { ...place, path: `${place.path}[${i}]` }));
  };
}

function oneOf<const T extends string | number>(choices: readonly T[]): Parse<T> {
  return (value, place) =>
    choices.find((choice) => choice === value) ??
    expected(choices.map((c) => JSON.stringify(c)).join(' or '), value, place);
}

function matching(pattern: RegExp, meaning: string): Parse<string> {
  return (value, place) => (typeof value === 'string' && pattern.test(value) ? value : expected(meaning, value, place));
}

const text: Parse<string> = (value, place) =>
  typeof value === 'string' && value.trim() !== '' ? value : expected('some text', value, place);

const number: Parse<number> = (value, place) =>
  typeof value === 'number' && Number.isFinite(value) ? value : expected('a finite number', value, place);

function refuseOthers(value: Record<string, unknown>, known: readonly string[], place: Place): void {
  const other = Object.keys(value).find((key) => !known.includes(key));
  if (other !== undefined) expected('nothing (the field is unknown)', value[other], inside(place, other));
}

function inside({ where, path }: Place, name: string): Place {
  return { where, path: path === '' ? name : `${path}.${name}` };
}

function expected(meaning: string, found: unknown, { where, path }: Place): never {
  const shown = found === undefined ? 'nothing' : (JSON.stringify(found) ?? typeof found).slice(0, 80);
  const message = `${where}: ${path || 'the root'} should be ${meaning}, but is ${shown}.`;
  throw new ElfinError('MANIFEST_INVALID', message, { data: { path } });
}
