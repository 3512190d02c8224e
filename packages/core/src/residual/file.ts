import { deflateSync, inflateSync } from 'fflate';
import { ElfinError } from '../base/errors.ts';
import type { Residual } from './residual.ts';

const MAGIC = 'ELFINRES';
const VERSION = 1;
/** Most pixels of a residual that is read back. */
const MAX_PIXELS = 200_000_000;
const MAX_HEAD = 1 << 20;

/** Facts beside a residual, of any kind that JSON holds. */
export interface ResidualFile<Facts> {
  readonly residual?: Residual | undefined;
  readonly facts: Facts;
}

interface Head<Facts> {
  readonly version: number;
  readonly facts: Facts;
  readonly residual?: Omit<Residual, 'data'> & { readonly wide: boolean };
}

/**
 * A residual and what is to be known of it as bytes: a JSON head, then the differences between neighbours, zigzagged, in planes
 * of bytes (low ones first), deflated. Half a megabyte to a few for the residual of a photo.
 */
export function writeResidual<Facts>({ residual, facts }: ResidualFile<Facts>): Uint8Array {
  const { data, ...shape } = residual ?? { data: new Int16Array(0) };
  const wide = data instanceof Int32Array;
  const head: Head<Facts> = {
    version: VERSION,
    facts,
    ...(residual && { residual: { ...(shape as Residual), wide } }),
  };
  const text = new TextEncoder().encode(JSON.stringify(head));
  const packed = deflateSync(toPlanes(data), { level: 6 });
  const bytes = new Uint8Array(MAGIC.length + 4 + text.length + packed.length);
  bytes.set(new TextEncoder().encode(MAGIC));
  new DataView(bytes.buffer).setUint32(MAGIC.length, text.length, true);
  bytes.set(text, MAGIC.length + 4);
  bytes.set(packed, MAGIC.length + 4 + text.length);
  return bytes;
}

/** What {@link writeResidual} wrote. Memory is bounded by the head. Errors: INPUT_UNREADABLE for anything else. */
export function readResidual<Facts>(bytes: Uint8Array): ResidualFile<Facts> {
  const start = MAGIC.length + 4;
  const length =
    bytes.length < start ? MAX_HEAD : new DataView(bytes.buffer, bytes.byteOffset).getUint32(MAGIC.length, true);
  if (
    new TextDecoder().decode(bytes.subarray(0, MAGIC.length)) !== MAGIC ||
    length >= MAX_HEAD ||
    start + length > bytes.length
  )
    throw unreadable('it does not begin as one');
  const head = parse<Head<Facts>>(bytes.subarray(start, start + length));
  if (head.version !== VERSION) throw unreadable(`its version is ${String(head.version)}, not ${VERSION}`);
  if (!head.residual) return { facts: head.facts };
  const { wide, ...shape } = head.residual;
  const { width, height } = shape;
  if (!(Number.isInteger(width) && Number.isInteger(height) && width > 0 && height > 0 && width * height <= MAX_PIXELS))
    throw unreadable('its sides are none');
  const data = wide ? new Int32Array(width * height * 3) : new Int16Array(width * height * 3);
  const planes = new Uint8Array(data.length * (wide ? 3 : 2));
  try {
    const found = inflateSync(bytes.subarray(start + length), { out: planes });
    if (found.length !== planes.length) throw new Error('too short');
  } catch {
    throw unreadable('its differences cannot be unpacked');
  }
  fromPlanes(planes, data);
  return { facts: head.facts, residual: { ...shape, data } };
}

function parse<T>(bytes: Uint8Array): T {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as T;
  } catch {
    throw unreadable('its head is not JSON');
  }
}

function unreadable(reason: string): ElfinError {
  return new ElfinError('INPUT_UNREADABLE', `These bytes are no stored inference: ${reason}; infer again.`);
}

function toPlanes(data: Int16Array | Int32Array): Uint8Array {
  const count = data instanceof Int32Array ? 3 : 2;
  const planes = new Uint8Array(data.length * count);
  for (let i = 0; i < data.length; i++) {
    const step = data[i]! - (i < 3 ? 0 : data[i - 3]!);
    const code = step < 0 ? -2 * step - 1 : 2 * step;
    for (let k = 0, rest = code; k < count; k++, rest >>>= 8) planes[k * data.length + i] = rest & 0xff;
  }
  return planes;
}

function fromPlanes(planes: Uint8Array, data: Int16Array | Int32Array): void {
  const count = data instanceof Int32Array ? 3 : 2;
  for (let i = 0; i < data.length; i++) {
    let code = 0;
    for (let k = count - 1; k >= 0; k--) code = (code << 8) | planes[k * data.length + i]!;
    const step = code & 1 ? -((code + 1) >>> 1) : code >>> 1;
    data[i] = step + (i < 3 ? 0 : data[i - 3]!);
  }
}
