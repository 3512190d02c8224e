/**
 * Protocol Buffers' wire format (protobuf.dev/programming-guides/encoding), as much of it as ONNX files use. A general library
 * brings its own description of every message along, 23 kB after gzip, which pages would have to load.
 */

/** Consecutive bytes, not yet joined: weights of megabytes are copied once, at the end. */
export type Parts = readonly Uint8Array[];

const text = new TextEncoder();

// Nearly every number in a graph is one of these.
const SMALL = Array.from({ length: 128 }, (_, value) => Uint8Array.of(value));

function varint(value: number | bigint): Uint8Array {
  if (value >= 0 && value < 128) return SMALL[Number(value)]!;
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  do {
    const more = rest > 127n;
    bytes.push(Number(rest & 127n) | (more ? 128 : 0));
    rest >>= 7n;
  } while (rest > 0n);
  return Uint8Array.from(bytes);
}

const VARINT = 0;
const FIXED64 = 1;
const LENGTH = 2;
const FIXED32 = 5;
const tag = (field: number, wire: number): Uint8Array => varint((field << 3) | wire);

/** Sum of the parts' lengths. */
export const lengthOf = (parts: Parts): number => parts.reduce((sum, { length }) => sum + length, 0);

/** A message, or anything else that comes with its length. */
export const nested = (field: number, parts: Parts): Parts => [tag(field, LENGTH), varint(lengthOf(parts)), ...parts];

export const string = (field: number, value: string): Parts => nested(field, [text.encode(value)]);

export const integer = (field: number, value: number | bigint): Parts => [tag(field, VARINT), varint(value)];

/** Several integers as one field; nothing where there are none. */
export const integers = (field: number, values: readonly number[]): Parts =>
  values.length === 0 ? [] : nested(field, values.map(varint));

export function float(field: number, value: number): Parts {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setFloat32(0, value, true);
  return [tag(field, FIXED32), bytes];
}

/** The fields of a message as they stand; a number is a varint, everything else is bytes. Throws RangeError for other bytes. */
export function* fields(bytes: Uint8Array): Generator<{ readonly field: number; readonly value: bigint | Uint8Array }> {
  let at = 0;
  const number = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes[at++];
      if (byte === undefined) break;
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return BigInt.asIntN(64, value);
    }
    throw new RangeError('a number without an end');
  };
  const take = (length: number): Uint8Array => {
    if (!(length >= 0 && length <= bytes.length - at)) throw new RangeError('a field reaches beyond the end');
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const key = Number(BigInt.asUintN(64, number()));
    const [field, wire] = [Math.floor(key / 8), key % 8];
    if (field === 0 || field >= 2 ** 29) throw new RangeError(`field ${field} does not exist`);
    if (wire === VARINT) yield { field, value: number() };
    else if (wire === LENGTH) yield { field, value: take(Number(number())) };
    else if (wire === FIXED64 || wire === FIXED32) yield { field, value: take(wire === FIXED64 ? 8 : 4) };
    else throw new RangeError(`wire type ${wire} is not used any more`);
  }
}
