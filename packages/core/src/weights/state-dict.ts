import { ElfinError } from '../base/errors.ts';
import {
  compareKeys,
  type ExpectedParameter,
  fillShared,
  findConflicts,
  type KeyDifference,
  stripPrefixes,
} from './keys.ts';

/** Number types that checkpoints store, under safetensors' names. */
export const WEIGHT_DTYPES = ['F32', 'F16', 'BF16', 'F64'] as const;
/** Element types that weights may have. */
export type WeightDtype = (typeof WEIGHT_DTYPES)[number];

/** One parameter. Values are widened or narrowed to float32 in memory, whatever the file stored. */
export interface WeightTensor {
  /** How the file stored it. */
  readonly dtype: WeightDtype;
  /** Row-major; a scalar has the shape `[]`. */
  readonly shape: readonly number[];
  /** `data.length` equals the product of `shape`. */
  readonly data: Float32Array;
}

/** Parameters under the names of the network's checkpoints, for example `dsnet.tail.weight`. */
export type StateDict = ReadonlyMap<string, WeightTensor>;

/** Whose weights they are and where they came from, for messages. */
export interface LoadOptions {
  /** What the weights are called in errors. */
  readonly where?: string;
  /** The network that `expected` describes, for errors. */
  readonly network?: string;
  /** Other networks whose keys these might be, by name: an error then says so. Asked only on failure. */
  readonly others?: () => Iterable<readonly [name: string, expected: readonly ExpectedParameter[]]>;
}

/** Tensors of a file, and the names of those that cannot be weights. */
export interface StoredWeights {
  readonly state: StateDict;
  readonly other?: ReadonlyMap<string, string>;
}

/**
 * Fits a file's tensors to a network, strictly: wrappers' prefixes go, shared tensors are found under each of their keys, known
 * unused keys may be there or not, and beyond that every key has to be there with its shape and no other.
 * @returns the tensors in the network's order
 * @throws WEIGHTS_MISMATCH with all missing, unexpected and mis-shaped keys at once (in full in `data`), or with shared keys
 * that differ; WEIGHTS_NOT_FINITE naming every key that holds NaN or an infinity
 */
export function loadStateDict(
  { state: stored, other = new Map() }: StoredWeights,
  expected: readonly ExpectedParameter[],
  { where = 'the state dict', network = 'the network', others }: LoadOptions = {},
): StateDict {
  const state = stripPrefixes(stored);
  const complete = fillShared(state, expected);
  const difference = compareKeys(complete, expected, other);
  if (count(difference) > 0) {
    const fitting = [...(others?.() ?? [])].find(([, keys]) => fits({ state, other }, keys));
    throw mismatch(difference, where, network, fitting?.[0]);
  }
  const conflicts = findConflicts(complete, expected);
  if (conflicts.length > 0)
    throw new ElfinError(
      'WEIGHTS_MISMATCH',
      `Cannot load weights: ${where} is not of ${network}, which shares one tensor between ${conflicts[0]!.join(' and ')}: they differ.`,
      { data: { conflicts: conflicts.map((pair) => pair.join(' ≠ ')) } },
    );
  const loaded = new Map(
    expected.flatMap(({ key }) => (complete.has(key) ? [[key, complete.get(key)!] as const] : [])),
  );
  checkFinite(loaded, where);
  return loaded;
}

/** Whether a file's keys and shapes are a network's, by the rules of {@link loadStateDict}. */
export function fits({ state: stored, other }: StoredWeights, expected: readonly ExpectedParameter[]): boolean {
  return count(compareKeys(fillShared(stripPrefixes(stored), expected), expected, other)) === 0;
}

function count({ missing, unexpected, misshaped }: KeyDifference): number {
  return missing.length + unexpected.length + misshaped.length;
}

function mismatch(difference: KeyDifference, where: string, network: string, fitting: string | undefined): ElfinError {
  const { missing, unexpected, misshaped } = difference;
  const parts = [
    ...(missing.length > 0 ? [`${missing.length} missing (${some(missing)})`] : []),
    ...(unexpected.length > 0 ? [`${unexpected.length} unexpected (${some(unexpected)})`] : []),
    ...(misshaped.length > 0 ? [`${misshaped.length} of another shape (${some(misshaped)})`] : []),
  ];
  const hint = fitting === undefined ? '' : ` They are weights of ${fitting}: name that preset.`;
  const message = `Cannot load weights: ${where} does not fit ${network}: keys ${parts.join(', ')}.${hint}`;
  const data = { missing, unexpected, misshaped, ...(fitting !== undefined && { fitting }) };
  return new ElfinError('WEIGHTS_MISMATCH', message, { data });
}

function checkFinite(state: StateDict, where: string): void {
  const keys = [...state].filter(([, { data }]) => !data.every(Number.isFinite)).map(([key]) => key);
  if (keys.length > 0)
    throw new ElfinError(
      'WEIGHTS_NOT_FINITE',
      `Cannot load weights: ${where} holds NaN or infinite numbers in ${some(keys)}: the training diverged. Use an earlier checkpoint.`,
      { data: { keys } },
    );
}

/** As many names as fit a line. */
function some(names: readonly string[]): string {
  const shown = names.slice(0, 5).map((name) => name.replace(/[^\x20-\x7e]/g, '?').slice(0, 120));
  return names.length > shown.length ? `${shown.join(', ')} and ${names.length - shown.length} more` : shown.join(', ');
}
