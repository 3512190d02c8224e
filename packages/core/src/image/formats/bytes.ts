import { ElfinError } from '../../base/errors.ts';

/** Bounds-checked look at bytes: whatever lies past the end throws IMAGE_TRUNCATED, never reads `undefined`. */
export interface ByteView {
  readonly length: number;
  readonly bytes: Uint8Array;
  u8(at: number): number;
  u16(at: number, littleEndian?: boolean): number;
  u24le(at: number): number;
  u32(at: number, littleEndian?: boolean): number;
  /** `count` bytes as Latin-1 letters. */
  text(at: number, count: number): string;
  /** A view (not a copy) of `count` bytes. */
  slice(at: number, count: number): Uint8Array;
}

export function viewBytes(bytes: Uint8Array, format: string): ByteView {
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const within = (at: number, count: number) => {
    if (at < 0 || count < 0 || at + count > bytes.length) throw truncated(format, bytes.length);
  };
  return {
    length: bytes.length,
    bytes,
    u8(at) {
      within(at, 1);
      return data.getUint8(at);
    },
    u16(at, littleEndian = false) {
      within(at, 2);
      return data.getUint16(at, littleEndian);
    },
    u24le(at) {
      within(at, 3);
      return data.getUint16(at, true) | (data.getUint8(at + 2) << 16);
    },
    u32(at, littleEndian = false) {
      within(at, 4);
      return data.getUint32(at, littleEndian);
    },
    text(at, count) {
      within(at, count);
      return latin1(bytes.subarray(at, at + count));
    },
    slice(at, count) {
      within(at, count);
      return bytes.subarray(at, at + count);
    },
  };
}

export function latin1(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

/** Letters 0…255 to bytes. */
export function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}

export function startsWith(bytes: Uint8Array, prefix: Uint8Array, at = 0): boolean {
  return bytes.length >= at + prefix.length && prefix.every((byte, i) => bytes[at + i] === byte);
}

/** Whether `wanted` stands anywhere in `bytes`. */
export function includes(bytes: Uint8Array, wanted: Uint8Array): boolean {
  for (let at = bytes.indexOf(wanted[0]!); at >= 0; at = bytes.indexOf(wanted[0]!, at + 1)) {
    if (startsWith(bytes, wanted, at)) return true;
  }
  return false;
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

export function u32be(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}

export function u32le(value: number): Uint8Array {
  return u32be(value).reverse();
}

export function truncated(format: string, length: number): ElfinError {
  return new ElfinError(
    'IMAGE_TRUNCATED',
    `The ${format} ends early: ${length} bytes do not hold all that it announces; fetch or copy the file again.`,
    { data: { format, bytes: length } },
  );
}

export function corrupt(format: string, why: string): ElfinError {
  return new ElfinError('IMAGE_CORRUPT', `The ${format} is damaged: ${why}.`, { data: { format } });
}

export function unsupported(why: string): ElfinError {
  return new ElfinError('IMAGE_UNSUPPORTED', why);
}
