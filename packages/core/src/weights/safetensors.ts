import { ElfinError } from '../base/errors.ts';
import { elements } from '../base/tensor.ts';
import { DTYPE_BYTES, type Dtype, isWeightDtype, toFloat32 } from './dtypes.ts';
import { encodeHalf } from './half.ts';
import type { StateDict, WeightTensor } from './state-dict.ts';

/** What a weights file holds. */
export interface WeightsFile {
  /** Its floating point tensors. */
  readonly state: StateDict;
  /** Names and types of tensors that cannot be weights (integers, masks); they are not decoded. */
  readonly other: ReadonlyMap<string, string>;
  /** Free words of the file's writer; empty where there are none. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** The format allows 100 MB; a header of ELF's largest preset takes 60 kB. */
const HEADER_LIMIT = 4 * 1024 * 1024;

interface Entry {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/** True where the bytes may be a safetensors file: a length that fits, then a JSON object. Tells formats apart, proves nothing. */
export function looksLikeSafetensors(bytes: Uint8Array): boolean {
  if (bytes.length < 10 || bytes[8] !== 0x7b) return false;
  const size = headerSize(bytes);
  return size <= BigInt(bytes.length - 8) && size <= HEADER_LIMIT;
}

/**
 * Reads a safetensors file: an eight-byte length, a JSON header, then the tensors' bytes, gap-free in the header's offsets.
 * @param where what the file is called in errors
 * @throws WEIGHTS_CORRUPT for anything but a well-formed file: whatever the header claims, no more than the file's own size is
 * allocated (twice that for 16-bit floats).
 * @see https://github.com/huggingface/safetensors#format
 */
export function readSafetensors(bytes: Uint8Array, where = 'the safetensors file'): WeightsFile {
  const { entries, metadata, data } = readHeader(bytes, where);
  const state = new Map<string, WeightTensor>();
  const other = new Map<string, string>();
  for (const [name, { dtype, shape, begin, end }] of entries) {
    if (isWeightDtype(dtype)) state.set(name, { dtype, shape, data: toFloat32(data.subarray(begin, end), dtype) });
    else other.set(name, dtype);
  }
  return { state, other, metadata };
}

function readHeader(bytes: Uint8Array, where: string) {
  if (bytes.length < 8) throw corrupt(where, `has only ${bytes.length} bytes`);
  const claimed = headerSize(bytes);
  if (claimed > HEADER_LIMIT)
    throw corrupt(where, `claims a header of ${claimed} bytes; at most ${HEADER_LIMIT} are read`);
  const size = Number(claimed);
  if (8 + size > bytes.length)
    throw corrupt(where, `ends inside its header (${bytes.length} of ${8 + size} bytes are there)`);
  const header = parseHeader(bytes.subarray(8, 8 + size), where);
  const data = bytes.subarray(8 + size);
  const entries = new Map<string, Entry>();
  let metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(header)) {
    if (name === '__metadata__') metadata = parseMetadata(value, where);
    else entries.set(name, parseEntry(name, value, where));
  }
  checkLayout(entries, data.length, where);
  return { entries, metadata, data };
}

function headerSize(bytes: Uint8Array): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(0, true);
}

function parseHeader(bytes: Uint8Array, where: string): Record<string, unknown> {
  let text: string;
  let header: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    header = JSON.parse(text);
  } catch (cause) {
    throw corrupt(where, 'has a header that is not JSON', cause);
  }
  if (bytes[0] !== 0x7b || !isRecord(header)) throw corrupt(where, 'has a header that is not a JSON object');
  // JSON.parse keeps the last of equal keys in silence, so that two readers could see two files: every key has one colon.
  if (colons(text) !== keys(header))
    throw corrupt(where, 'names a tensor twice, or nests more than a tensor entry may');
  return header;
}

/** Colons of a valid JSON text that stand outside strings. */
function colons(text: string): number {
  let count = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (quoted && char === '\\') i++;
    else if (char === '"') quoted = !quoted;
    else if (char === ':' && !quoted) count++;
  }
  return count;
}

/** Keys on the two levels that a header has. */
function keys(header: Record<string, unknown>): number {
  return Object.values(header).reduce<number>(
    (sum, value) => sum + 1 + (isRecord(value) ? Object.keys(value).length : 0),
    0,
  );
}

function parseMetadata(value: unknown, where: string): Record<string, string> {
  if (!isRecord(value) || Object.values(value).some((word) => typeof word !== 'string'))
    throw corrupt(where, 'has a "__metadata__" that is not a map of strings');
  return value as Record<string, string>;
}

function parseEntry(name: string, value: unknown, where: string): Entry {
  const fail = (problem: string) => corrupt(where, `${problem} for tensor ${JSON.stringify(name.slice(0, 200))}`);
  if (!isRecord(value) || Object.keys(value).some((key) => !['dtype', 'shape', 'data_offsets'].includes(key)))
    throw fail('does not give exactly dtype, shape and data_offsets');
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== 'string' || !Object.hasOwn(DTYPE_BYTES, dtype)) throw fail('gives an unknown dtype');
  if (!isSizes(shape)) throw fail('gives a shape that is not a list of sizes');
  if (!isSizes(offsets) || offsets.length !== 2) throw fail('gives data_offsets that are not two offsets');
  const [begin, end] = offsets as [number, number];
  const size = elements(shape) * DTYPE_BYTES[dtype as Dtype];
  if (!Number.isSafeInteger(size) || end - begin !== size)
    throw fail(`gives ${end - begin} bytes where dtype and shape need ${size}`);
  return { dtype: dtype as Dtype, shape, begin, end };
}

/** Tensors must tile the data exactly: an overlap, a hole or a rest could hide what another reader sees. */
function checkLayout(entries: ReadonlyMap<string, Entry>, size: number, where: string): void {
  let end = 0;
  const ordered = [...entries].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  for (const [name, entry] of ordered) {
    if (entry.begin !== end)
      throw corrupt(where, `leaves a hole or overlaps before tensor ${JSON.stringify(name.slice(0, 200))}`);
    end = entry.end;
  }
  if (end > size) throw corrupt(where, `is cut short: its tensors need ${end} bytes and ${size} are there`);
  if (end < size) throw corrupt(where, `has ${size - end} bytes after its last tensor`);
}

/** How {@link writeSafetensors} stores the tensors. */
export interface WriteOptions {
  /** Default `F32`. `F16` halves the file and rounds to 11 significant bits. */
  readonly dtype?: 'F32' | 'F16';
  readonly metadata?: Readonly<Record<string, string>>;
}

/**
 * Writes a safetensors file. Equal input gives equal bytes: tensors and metadata are sorted by name, the header is padded to
 * eight bytes so that the data stays aligned.
 * @throws WEIGHTS_NOT_FINITE where a value does not fit float16
 */
export function writeSafetensors(state: StateDict, { dtype = 'F32', metadata = {} }: WriteOptions = {}): Uint8Array {
  const names = [...state.keys()].sort(byCodeUnit);
  const header: [string, unknown][] = [];
  if (Object.keys(metadata).length > 0)
    header.push(['__metadata__', Object.fromEntries(Object.entries(metadata).sort(([a], [b]) => byCodeUnit(a, b)))]);
  let size = 0;
  for (const name of names) {
    const { shape, data } = state.get(name)!;
    const begin = size;
    size += data.length * DTYPE_BYTES[dtype];
    header.push([name, { dtype, shape, data_offsets: [begin, size] }]);
  }
  // Joined by hand: an object would move keys that look like numbers to the front, and drop `__proto__`.
  const json = `{${header.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(',')}}`;
  const text = new TextEncoder().encode(json);
  const start = 8 + Math.ceil(text.length / 8) * 8;
  const out = new Uint8Array(start + size).fill(0x20, 8, start);
  new DataView(out.buffer).setBigUint64(0, BigInt(start - 8), true);
  out.set(text, 8);
  let offset = start;
  for (const name of names) {
    const bytes = encode(name, state.get(name)!.data, dtype);
    out.set(bytes, offset);
    offset += bytes.length;
  }
  return out;
}

function encode(name: string, data: Float32Array, dtype: 'F32' | 'F16'): Uint8Array {
  if (dtype === 'F32') return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const halves = encodeHalf(data);
  const lost = halves.findIndex((half, i) => (half & 0x7c00) === 0x7c00 && Number.isFinite(data[i]!));
  if (lost >= 0)
    throw new ElfinError(
      'WEIGHTS_NOT_FINITE',
      `${name} holds ${data[lost]}, which float16 cannot: store it as float32.`,
    );
  return new Uint8Array(halves.buffer);
}

function byCodeUnit(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}

function corrupt(where: string, problem: string, cause?: unknown): ElfinError {
  return new ElfinError('WEIGHTS_CORRUPT', `Cannot read weights: ${where} ${problem}. Fetch or export it again.`, {
    cause,
  });
}
