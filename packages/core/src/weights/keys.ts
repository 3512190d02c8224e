import type { StateDict, WeightTensor } from './state-dict.ts';

/** One key that a network's checkpoints hold. */
export interface ExpectedParameter {
  readonly key: string;
  readonly shape: readonly number[];
  /** Keys of one `shared` name store one tensor: ELF's channel attention blocks share one PReLU a sub-network. */
  readonly shared?: string;
  /** Stored by some trainers, read by no one: may be missing. */
  readonly unused?: true;
}

/** How a checkpoint's keys differ from a network's, each in a stable order. */
export interface KeyDifference {
  readonly missing: readonly string[];
  readonly unexpected: readonly string[];
  /** `key: [2, 3] instead of [3]` */
  readonly misshaped: readonly string[];
}

/** What wrappers of a training put before every key: DataParallel, and `torch.compile`. */
const PREFIXES = ['module.', '_orig_mod.'];

/** Takes a wrapper's prefix off, as often as all keys bear one; a network's own keys never all begin with these. */
export function stripPrefixes<T>(entries: ReadonlyMap<string, T>): ReadonlyMap<string, T> {
  const keys = [...entries.keys()];
  const prefix = PREFIXES.find((candidate) => keys.length > 0 && keys.every((key) => key.startsWith(candidate)));
  if (!prefix) return entries;
  return stripPrefixes(new Map([...entries].map(([key, value]) => [key.slice(prefix.length), value])));
}

/** Shared tensors that a writer stored under one of their keys only (safetensors' `save_model` does), under all of them. */
export function fillShared(state: StateDict, expected: readonly ExpectedParameter[]): StateDict {
  const filled = new Map(state);
  const stored = new Map<string, WeightTensor>();
  for (const { key, shared } of expected) {
    const tensor = state.get(key);
    if (shared !== undefined && tensor && !stored.has(shared)) stored.set(shared, tensor);
  }
  for (const { key, shared } of expected) {
    const tensor = shared === undefined ? undefined : stored.get(shared);
    if (tensor && !filled.has(key)) filled.set(key, tensor);
  }
  return filled;
}

/** Pairs of keys that the network shares but the checkpoint tells apart: no network of this kind can have made it. */
export function findConflicts(state: StateDict, expected: readonly ExpectedParameter[]): readonly [string, string][] {
  const first = new Map<string, string>();
  const conflicts: [string, string][] = [];
  for (const { key, shared } of expected) {
    const tensor = state.get(key);
    if (shared === undefined || !tensor) continue;
    const other = first.get(shared);
    if (other === undefined) first.set(shared, key);
    else if (!sameValues(state.get(other)!.data, tensor.data)) conflicts.push([other, key]);
  }
  return conflicts;
}

function sameValues(a: Float32Array, b: Float32Array): boolean {
  return a.length === b.length && a.every((value, i) => Object.is(value, b[i]));
}

/**
 * Compares a checkpoint's keys with a network's.
 * @param other keys that hold no weights, with what they hold instead
 */
export function compareKeys(
  state: StateDict,
  expected: readonly ExpectedParameter[],
  other: ReadonlyMap<string, string> = new Map(),
): KeyDifference {
  const known = new Set(expected.map(({ key }) => key));
  const unexpected = [...state.keys()].filter((key) => !known.has(key));
  const missing: string[] = [];
  const misshaped: string[] = [];
  for (const { key, shape, unused } of expected) {
    const tensor = state.get(key);
    if (!tensor && !unused) missing.push(key);
    else if (tensor && !sameShape(tensor.shape, shape))
      misshaped.push(`${key}: [${tensor.shape.join(', ')}] instead of [${shape.join(', ')}]`);
  }
  return { missing, unexpected: [...unexpected, ...[...other].map(([key, kind]) => `${key} (${kind})`)], misshaped };
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((side, axis) => side === b[axis]);
}
