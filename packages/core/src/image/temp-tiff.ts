import type { FileHandle } from 'node:fs/promises';
import { endianness } from 'node:os';
import { ElfinError } from '../base/errors.ts';
import { type Channels, hasAlpha } from './pixels.ts';

/**
 * Pixels in temporary files are plain TIFF, one sample behind the other in the machine's byte order: sharp writes and reads it row
 * by row, libvips calls its reader safe (its own format is closed by `VIPS_BLOCK_UNTRUSTED`), and does not keep such files open
 * behind a sequential read, as it does with its own.
 */
export interface PixelShape {
  readonly width: number;
  readonly height: number;
  readonly channels: Channels;
  readonly bitDepth: 8 | 16;
}

const LITTLE = endianness() === 'LE';
/** From here on offsets take 64 bits (BigTIFF). Some bytes of room for the directory. */
const MOST_CLASSIC = 2 ** 32 - 2 ** 20;
/** Rows that a reader takes at once. */
const STRIP_ROWS = 16;

export function rowBytes({ width, channels, bitDepth }: PixelShape): number {
  return width * channels * (bitDepth / 8);
}

export function pixelBytes(shape: PixelShape): number {
  return rowBytes(shape) * shape.height;
}

/** Whether a file of this shape needs 64-bit offsets. */
export function isBig(shape: PixelShape): boolean {
  return pixelBytes(shape) > MOST_CLASSIC;
}

const TAG = { width: 256, height: 257, bits: 258, offsets: 273, channels: 277, counts: 279 } as const;

/** Everything that stands before the pixels. */
export function tiffHead(shape: PixelShape): Uint8Array {
  const { width, height, channels, bitDepth } = shape;
  const big = isBig(shape);
  const strips = Math.ceil(height / STRIP_ROWS);
  const word = big ? 8 : 4;
  const colours = hasAlpha(shape) ? channels - 1 : channels;
  const [short, long, wide] = [3, 4, big ? 16 : 4];
  const entries: readonly (readonly [number, number, readonly number[] | 'offsets' | 'counts'])[] = [
    [TAG.width, long, [width]],
    [TAG.height, long, [height]],
    [TAG.bits, short, Array(channels).fill(bitDepth)],
    [259, short, [1]],
    [262, short, [colours === 1 ? 1 : 2]],
    [TAG.offsets, wide, 'offsets'],
    [TAG.channels, short, [channels]],
    [278, long, [STRIP_ROWS]],
    [TAG.counts, wide, 'counts'],
    [284, short, [1]],
    ...(hasAlpha(shape) ? [[338, short, [2]] as const] : []),
  ];
  const start = big ? 16 : 8;
  const directory = (big ? 8 : 2) + entries.length * (big ? 20 : 12) + word;
  const outside = start + directory;
  const room = 64 + 2 * strips * word;
  const dataAt = Math.ceil((outside + room) / 16) * 16;
  const bytes = new Uint8Array(dataAt);
  const data = new DataView(bytes.buffer);
  const put = (at: number, size: number, value: number) => {
    if (size === 2) data.setUint16(at, value, LITTLE);
    else if (size === 4) data.setUint32(at, value, LITTLE);
    else data.setBigUint64(at, BigInt(value), LITTLE);
  };
  bytes.set(LITTLE ? [0x49, 0x49] : [0x4d, 0x4d]);
  put(2, 2, big ? 43 : 42);
  if (big) put(4, 2, 8);
  put(big ? 8 : 4, word, start);
  put(start, big ? 8 : 2, entries.length);
  const stride = rowBytes(shape);
  const rowsOf = (i: number) => Math.min(STRIP_ROWS, height - i * STRIP_ROWS);
  let free = outside;
  entries.forEach(([tag, type, given], i) => {
    const at = start + (big ? 8 : 2) + i * (big ? 20 : 12);
    const size = { 3: 2, 4: 4, 16: 8 }[type]!;
    const values = Array.isArray(given)
      ? given
      : Array.from({ length: strips }, (_, k) =>
          given === 'offsets' ? dataAt + k * STRIP_ROWS * stride : rowsOf(k) * stride,
        );
    put(at, 2, tag);
    put(at + 2, 2, type);
    put(at + 4, word, values.length);
    let to = at + 4 + word;
    if (values.length * size > word) {
      put(to, word, free);
      to = free;
      free += Math.ceil((values.length * size) / 8) * 8;
    }
    for (const [k, value] of values.entries()) put(to + k * size, size, value);
  });
  return bytes;
}

/** Where the pixels of a file that sharp wrote begin; that they are all there in one piece, and of this shape, is checked. */
export async function findPixels(file: FileHandle, shape: PixelShape): Promise<number> {
  const big = isBig(shape);
  const word = big ? 8 : 4;
  const { size } = await file.stat();
  const read = async (at: number, length: number) => {
    const bytes = new Uint8Array(length);
    const { bytesRead } = await file.read(bytes, 0, length, at);
    if (bytesRead < length) throw unexpected(shape, 'it ends early');
    return new DataView(bytes.buffer);
  };
  const number = (view: DataView, at: number, length: number) =>
    length === 8
      ? Number(view.getBigUint64(at, LITTLE))
      : length === 4
        ? view.getUint32(at, LITTLE)
        : view.getUint16(at, LITTLE);
  const head = await read(0, 16);
  if (head.getUint16(2, LITTLE) !== (big ? 43 : 42)) throw unexpected(shape, 'its head is not what was asked for');
  const first = number(head, big ? 8 : 4, word);
  const count = number(await read(first, word), 0, big ? 8 : 2);
  const step = big ? 20 : 12;
  const directory = await read(first + (big ? 8 : 2), Math.min(count * step, size - first));
  const values = async (tag: number): Promise<number[]> => {
    for (let at = 0; at + step <= directory.byteLength; at += step) {
      if (directory.getUint16(at, LITTLE) !== tag) continue;
      const each = { 3: 2, 4: 4, 16: 8 }[directory.getUint16(at + 2, LITTLE)] ?? 1;
      const length = number(directory, at + 4, word);
      const inline = length * each <= word;
      const from = inline ? directory : await read(number(directory, at + 4 + word, word), length * each);
      const offset = inline ? at + 4 + word : 0;
      return Array.from({ length }, (_, i) => number(from, offset + i * each, each));
    }
    return [];
  };
  const [[width], [height], [channels], [bits]] = [
    await values(TAG.width),
    await values(TAG.height),
    await values(TAG.channels),
    await values(TAG.bits),
  ];
  if (width !== shape.width || height !== shape.height || channels !== shape.channels || bits !== shape.bitDepth) {
    throw unexpected(shape, `it decodes to ${width} × ${height} × ${channels} of ${bits} bits`);
  }
  const [offsets, counts] = [await values(TAG.offsets), await values(TAG.counts)];
  const whole = offsets.every((at, i) => i === 0 || at === offsets[i - 1]! + counts[i - 1]!);
  const total = counts.reduce((sum, length) => sum + length, 0);
  if (!whole || total !== pixelBytes(shape)) throw unexpected(shape, 'its pixels do not lie in one piece');
  return offsets[0]!;
}

function unexpected({ width, height, channels }: PixelShape, why: string): ElfinError {
  return new ElfinError(
    'IMAGE_CORRUPT',
    `The image is damaged: it should be ${width} × ${height} × ${channels}, but ${why}.`,
  );
}
