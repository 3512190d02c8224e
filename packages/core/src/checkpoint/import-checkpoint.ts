import { ElfinError } from '../base/errors.ts';
import { sha256 } from '../base/sha256.ts';
import { parametersOf, presetParameters } from '../model/describe.ts';
import {
  type DataSource,
  type Manifest,
  PRESETS,
  type PresetName,
  parseManifest,
  type Score,
  type StorageDtype,
} from '../model/manifest.ts';
import { TASKS, type Task } from '../model/models.ts';
import { configOf } from '../model/presets.ts';
import { looksLikeSafetensors, readSafetensors, type WeightsFile, writeSafetensors } from '../weights/safetensors.ts';
import { fits, loadStateDict, type StateDict } from '../weights/state-dict.ts';
import { looksLikeZip, readTorch } from '../weights/torch.ts';

/** What a checkpoint does not say itself. */
export interface ImportOptions {
  /** Default: the one whose keys the file has; `elf` and `elf-prelu` may have the same. */
  readonly preset?: PresetName;
  /** Default: the file's own word. */
  readonly task?: Task;
  /** Default `imported`. */
  readonly variant?: string;
  /** Side of the last training phase's crops. Default: the file's own word, else 256, the authors' recipe. */
  readonly crop?: number;
  /** How `weights` will be stored. Default: as the file did, what is finer than float32 as float32. */
  readonly dtype?: StorageDtype;
  /** Default `unknown`: weights of others carry no licence by themselves. */
  readonly license?: string;
  readonly data?: readonly DataSource[];
  readonly scores?: readonly Score[];
  /** What the checkpoint is called in errors, for example its path. */
  readonly where?: string;
}

/** The two files of a model folder, and what importing found. */
export interface ImportedModel {
  readonly manifest: Manifest;
  /** `weights.safetensors` */
  readonly weights: Uint8Array;
  /** Keys that led to the state dict inside the checkpoint; `[]` for a bare one. */
  readonly path: readonly string[];
  /** Tensors stored. */
  readonly keys: number;
}

/**
 * Turns a checkpoint (PyTorch `.pth`/`.pt`, or safetensors) into a model folder's content. Equal input gives equal bytes.
 * @throws WEIGHTS_CORRUPT, WEIGHTS_UNSUPPORTED, WEIGHTS_UNSAFE, WEIGHTS_MISMATCH, WEIGHTS_NOT_FINITE as the readers and
 * {@link loadStateDict} say; MANIFEST_INVALID for options that a manifest cannot hold
 */
export async function importCheckpoint(bytes: Uint8Array, options: ImportOptions): Promise<ImportedModel> {
  const { variant = 'imported', license = 'unknown', data = [], scores = [], where = 'the checkpoint' } = options;
  const file = readWeights(bytes, where);
  const preset = options.preset ?? recognise(file, where);
  const task = options.task ?? ownTask(file, where);
  const expected = parametersOf(configOf(preset));
  const state = loadStateDict(file, expected, { where, network: preset, others: presetParameters });
  const dtype = options.dtype ?? storedType(state);
  const crop = options.crop ?? ownCrop(file) ?? 256;
  const weights = writeSafetensors(state, {
    dtype: dtype === 'float16' ? 'F16' : 'F32',
    metadata: { crop: String(crop), preset, task },
  });
  const draft = { format: 1, preset, task, variant, crop, sha256: await sha256(weights), dtype, license, data, scores };
  return { manifest: parseManifest(draft, 'the manifest'), weights, path: file.path, keys: state.size };
}

/**
 * Reads a weights file of any kind that elfin knows.
 * @throws WEIGHTS_CORRUPT, WEIGHTS_UNSUPPORTED, WEIGHTS_UNSAFE, WEIGHTS_MISMATCH
 */
export function readWeights(
  bytes: Uint8Array,
  where = 'the checkpoint',
): WeightsFile & { readonly path: readonly string[] } {
  if (bytes.length === 0) throw new ElfinError('WEIGHTS_CORRUPT', `Cannot read weights: ${where} is empty.`);
  if (!looksLikeZip(bytes) && looksLikeSafetensors(bytes)) return { ...readSafetensors(bytes, where), path: [] };
  return readTorch(bytes, where);
}

function recognise(file: WeightsFile, where: string): PresetName {
  const fitting = presetParameters().flatMap(([name, expected]) => (fits(file, expected) ? [name] : []));
  const own = fitting.find((name) => name === file.metadata.preset);
  const chosen = own ?? (fitting.length === 1 ? fitting[0] : undefined);
  if (chosen) return chosen;
  const found = fitting.length === 0 ? 'has the keys of no preset' : `has the keys of ${fitting.join(' and of ')}`;
  throw new ElfinError(
    'WEIGHTS_MISMATCH',
    `Cannot load weights: ${where} ${found}. Name the preset: ${PRESETS.join(', ')}.`,
  );
}

function ownTask({ metadata }: WeightsFile, where: string): Task {
  const task = TASKS.find((name) => name === metadata.task);
  if (task) return task;
  throw new ElfinError('OPTION_INVALID', `${where} does not say what it restores. Name the task: ${TASKS.join(', ')}.`);
}

/** float16 where every tensor was. bfloat16 reaches further than float16 does, so it goes to float32. */
function storedType(state: StateDict): StorageDtype {
  return [...state.values()].every(({ dtype }) => dtype === 'F16') ? 'float16' : 'float32';
}

function ownCrop({ metadata }: WeightsFile): number | undefined {
  return /^[0-9]{1,4}$/.test(metadata.crop ?? '') ? Number(metadata.crop) : undefined;
}
