import { ElfinError, isElfinError } from '../base/errors.ts';
import { elements } from '../base/tensor.ts';
import { DTYPE_BYTES, type Dtype, isWeightDtype, toFloat32 } from './dtypes.ts';
import { asTuple, type Global, isGlobal, type Made, type PickleValue, unpickle } from './pickle.ts';
import type { WeightsFile } from './safetensors.ts';
import type { StateDict, WeightDtype, WeightTensor } from './state-dict.ts';
import { openZip, type ZipEntry } from './zip.ts';

/** ELF's largest preset pickles to 100 kB, and unpacks to 6 MB, thrice that with an optimiser's state. */
const LIMITS = { pickle: 4 * 1024 * 1024, unpacked: 256 * 1024 * 1024, elements: 32 * 1024 * 1024 } as const;

/** Keys under which trainers keep the weights; of several the first is taken, so an average of weights goes before the raw ones. */
const WRAPPERS = [
  'state_dict_ema',
  'params_ema',
  'model_ema',
  'ema',
  'state_dict',
  'model_state_dict',
  'params',
  'model',
  'net',
  'network',
  'weights',
];

/** A checkpoint's weights and where in it they were. */
export interface TorchFile extends WeightsFile {
  /** The keys that led to the state dict: `[]` for a bare one, else for example `['state_dict']`. */
  readonly path: readonly string[];
}

/**
 * Reads the state dict of a PyTorch checkpoint (`.pth`, `.pt`, the zip format of torch ≥ 1.6) without running anything in it.
 * The dict may be bare or stand under a trainer's usual key, two levels deep; only its own tensors are unpacked.
 * @param where what the file is called in errors
 * @throws WEIGHTS_UNSAFE naming what the pickle refers to outside the closed list; WEIGHTS_CORRUPT for damage;
 * WEIGHTS_UNSUPPORTED for torch's older formats, TorchScript, big-endian files and sizes far beyond ELF's;
 * WEIGHTS_MISMATCH where no state dict is found
 */
export function readTorch(bytes: Uint8Array, where = 'the checkpoint'): TorchFile {
  if (!looksLikeZip(bytes)) throw explainOther(bytes, where);
  const entries = openZip(bytes, where);
  const prefix = findPrefix(entries, where);
  checkVariant(entries, prefix, where);
  let unpacked = 0;
  const read = (entry: ZipEntry, limit: number) => {
    unpacked += entry.size;
    if (entry.size > limit || unpacked > LIMITS.unpacked)
      throw unsupported(`${where} unpacks to more than ${limit} bytes. Save the bare weights: ${SAVE}.`);
    return entry.read();
  };
  const root = unpickle(read(entries.get(`${prefix}data.pkl`)!, LIMITS.pickle), {
    globals: GLOBALS,
    persistent: readStorage,
    where,
  });
  const found = findStateDict(root);
  if (!found) throw noStateDict(root, where);
  const load = memoize((storage: Storage) => {
    const entry = entries.get(`${prefix}data/${storage.key}`);
    if (!entry || entry.size !== storage.length * DTYPE_BYTES[storage.dtype])
      throw corrupt(where, `lacks the data of storage ${JSON.stringify(storage.key.slice(0, 80))}`);
    return toFloat32(read(entry, LIMITS.unpacked), storage.dtype as WeightDtype);
  });
  return { ...readTensors(found.dict, load, where), path: found.path, metadata: {} };
}

/** True where the bytes begin as a zip archive. */
export function looksLikeZip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x50 && bytes[1] === 0x4b && bytes[2] === 0x03 && bytes[3] === 0x04;
}

const SAVE = 'torch.save(model.state_dict(), "plain.pth")';

interface Storage {
  readonly made: 'storage';
  readonly key: string;
  readonly dtype: Dtype;
  readonly length: number;
}

/** A tensor before its data is read: any view that torch can express over a storage. */
interface View {
  readonly made: 'view';
  readonly storage: Storage;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

const STORAGE_DTYPES: Readonly<Record<string, Dtype>> = {
  DoubleStorage: 'F64',
  FloatStorage: 'F32',
  HalfStorage: 'F16',
  BFloat16Storage: 'BF16',
  LongStorage: 'I64',
  IntStorage: 'I32',
  ShortStorage: 'I16',
  CharStorage: 'I8',
  ByteStorage: 'U8',
  BoolStorage: 'BOOL',
};

/** The closed list. None of these runs anything of the file's: they make views and maps. */
const GLOBALS: ReadonlyMap<string, Global> = new Map(listGlobals().map((global) => [global.global, global]));

function listGlobals(): readonly Global[] {
  return [
    ...Object.keys(STORAGE_DTYPES).map((name) => ({ global: `torch.${name}` })),
    { global: 'collections.OrderedDict', call: makeDict },
    { global: 'torch._utils._rebuild_tensor', call: makeView },
    { global: 'torch._utils._rebuild_tensor_v2', call: makeView },
    // A parameter is its tensor, with flags for training.
    { global: 'torch._utils._rebuild_parameter', call: ([tensor]) => tensor ?? null },
    { global: 'torch.Size', call: ([sizes]) => sizes ?? null },
  ];
}

/** `OrderedDict()`, or `OrderedDict([(key, value), …])` as older pickles spell it. */
function makeDict([pairs = []]: readonly PickleValue[]): PickleValue {
  if (!Array.isArray(pairs)) throw new TypeError('makes a dict of what is no list of pairs');
  return new Map(
    pairs.map((pair) => {
      const [key, value] = Array.isArray(pair) ? pair : asTuple(pair);
      if (key === undefined || value === undefined) throw new TypeError('makes a dict of what is no list of pairs');
      return [key, value];
    }),
  );
}

/** `(storage, offset, size, stride, …)`: requires_grad, hooks and metadata say nothing of the numbers. */
function makeView([storage, offset, size, stride]: readonly PickleValue[]): PickleValue {
  const shape = sizes(size);
  const strides = sizes(stride);
  if (!isMade<Storage>(storage, 'storage') || !isSize(offset) || shape.length !== strides.length)
    throw new TypeError('describes a tensor wrongly');
  const last = shape.reduce((sum, side, axis) => sum + (side - 1) * strides[axis]!, offset);
  if (elements(shape) > 0 && last >= storage.length)
    throw new RangeError('has a tensor that reaches beyond its storage');
  const view: View = { made: 'view', storage, offset, shape, strides };
  return view;
}

function sizes(value: PickleValue | undefined): readonly number[] {
  const list = value === undefined ? [] : asTuple(value);
  if (list.length > 16 || !list.every(isSize)) throw new TypeError('describes a tensor wrongly');
  return list;
}

function isSize(value: PickleValue | undefined): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** `('storage', <type>, key, device, elements)` */
function readStorage(id: PickleValue): Storage {
  const [kind, type, key, , length] = asTuple(id);
  const dtype = type !== undefined && isGlobal(type) ? STORAGE_DTYPES[type.global.replace('torch.', '')] : undefined;
  if (kind !== 'storage' || !dtype || typeof key !== 'string' || !isSize(length))
    throw new TypeError('describes a storage wrongly');
  return { made: 'storage', key, dtype, length };
}

function findPrefix(entries: ReadonlyMap<string, ZipEntry>, where: string): string {
  const pickles = [...entries.keys()].filter((name) => /^[^/]+\/data\.pkl$/.test(name));
  if (pickles.length !== 1)
    throw unsupported(`${where} is a zip archive, but no PyTorch checkpoint. Give a .pth, .pt or .safetensors file.`);
  return pickles[0]!.slice(0, -'data.pkl'.length);
}

function checkVariant(entries: ReadonlyMap<string, ZipEntry>, prefix: string, where: string): void {
  if (entries.has(`${prefix}constants.pkl`))
    throw unsupported(`${where} is a TorchScript program. Load it with torch.jit.load and save the weights: ${SAVE}.`);
  const order = entries.get(`${prefix}byteorder`);
  if (order && order.size < 16 && new TextDecoder().decode(order.read()) !== 'little')
    throw unsupported(`${where} was saved on a big-endian machine. Save it again on a little-endian one.`);
}

/** The first dict of tensors under a trainer's keys, two levels deep at most: a pickle may hold itself. */
function findStateDict(value: PickleValue, path: readonly string[] = []): Found | undefined {
  if (!(value instanceof Map)) return undefined;
  for (const key of path.length < 2 ? WRAPPERS : []) {
    const found = findStateDict(value.get(key) ?? null, [...path, key]);
    if (found) return found;
  }
  for (const item of value.values()) if (isView(item)) return { dict: value, path };
  return undefined;
}

interface Found {
  readonly dict: Map<PickleValue, PickleValue>;
  readonly path: readonly string[];
}

function noStateDict(root: PickleValue, where: string): ElfinError {
  const keys = root instanceof Map ? [...root.keys()].filter((key) => typeof key === 'string').slice(0, 12) : [];
  const held = keys.length > 0 ? `; its keys are ${keys.map((key) => key.slice(0, 60)).join(', ')}` : '';
  return new ElfinError('WEIGHTS_MISMATCH', `Found no state dict in ${where}${held}. Save the bare weights: ${SAVE}.`);
}

function isMade<T extends Made>(value: PickleValue | undefined, kind: T['made']): value is T {
  return typeof value === 'object' && value !== null && 'made' in value && value.made === kind;
}

function isView(value: PickleValue): value is View {
  return isMade<View>(value, 'view');
}

function readTensors(dict: Map<PickleValue, PickleValue>, load: (storage: Storage) => Float32Array, where: string) {
  const state = new Map<string, WeightTensor>();
  const other = new Map<string, string>();
  let total = 0;
  for (const [key, value] of dict) {
    const name = typeof key === 'string' ? key : String(typeof key);
    if (!isView(value)) {
      other.set(name, 'no tensor');
    } else if (!isWeightDtype(value.storage.dtype)) {
      other.set(name, value.storage.dtype);
    } else {
      total += elements(value.shape);
      if (total > LIMITS.elements)
        throw unsupported(
          `${where} holds more than ${LIMITS.elements} numbers; ELF's largest preset holds 1.6 million.`,
        );
      const { shape, storage } = value;
      state.set(name, { dtype: storage.dtype as WeightDtype, shape, data: gather(value, load(storage)) });
    }
  }
  return { state: state as StateDict, other };
}

/** The view's elements, row-major. */
function gather({ offset, shape, strides }: View, storage: Float32Array): Float32Array {
  const out = new Float32Array(elements(shape));
  const index = shape.map(() => 0);
  let at = offset;
  for (let i = 0; i < out.length; i++) {
    out[i] = storage[at]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += strides[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      at -= shape[axis]! * strides[axis]!;
      index[axis] = 0;
    }
  }
  return out;
}

function memoize(load: (storage: Storage) => Float32Array): (storage: Storage) => Float32Array {
  const loaded = new Map<string, { readonly storage: Storage; readonly data: Float32Array }>();
  return (storage) => {
    const id = `${storage.dtype} ${storage.length} ${storage.key}`;
    const known = loaded.get(id) ?? { storage, data: load(storage) };
    loaded.set(id, known);
    return known.data;
  };
}

/** `torch.save` of torch < 1.6 begins with this number as a pickle of its own. */
const LEGACY_MAGIC = 0x1950a86a20f9469cfc6cn;

function explainOther(bytes: Uint8Array, where: string): ElfinError {
  const legacy =
    `${where} is in PyTorch's old format, which was before zip. ` +
    'Convert it in Python: torch.save(torch.load("old.pth", weights_only=True), "new.pth").';
  // The oldest was a tar archive.
  if (new TextDecoder().decode(bytes.subarray(257, 262)) === 'ustar') return unsupported(legacy);
  try {
    if (unpickle(bytes.subarray(0, 65536), { globals: new Map(), where }) === LEGACY_MAGIC) return unsupported(legacy);
  } catch (error) {
    if (isElfinError(error) && error.code === 'WEIGHTS_UNSAFE') return error;
  }
  return corrupt(where, bytes.length === 0 ? 'is empty' : 'is neither a PyTorch zip checkpoint nor safetensors');
}

function unsupported(message: string): ElfinError {
  return new ElfinError('WEIGHTS_UNSUPPORTED', `Cannot read weights: ${message}`);
}

function corrupt(where: string, problem: string): ElfinError {
  return new ElfinError('WEIGHTS_CORRUPT', `Cannot read weights: ${where} ${problem}. Fetch or save it again.`);
}
