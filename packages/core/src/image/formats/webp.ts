import type { Header, Metadata } from '../codec.ts';
import { EXIF_ID, forgetOrientation, readOrientation } from '../metadata/orientation.ts';
import { ascii, concat, corrupt, latin1, startsWith, truncated, u32le, unsupported, viewBytes } from './bytes.ts';
import type { Format } from './format.ts';

export interface Chunk {
  readonly type: string;
  readonly body: Uint8Array;
}

/** Bits of VP8X's first byte (RFC 9649, 2.7). */
export const FLAGS = { animation: 0x02, xmp: 0x04, exif: 0x08, alpha: 0x10, icc: 0x20 } as const;

/** All whole chunks within the RIFF; stops where the bytes end. */
export function* chunks(bytes: Uint8Array): Generator<Chunk> {
  const view = viewBytes(bytes, 'WebP');
  const stop = Math.min(bytes.length, 8 + view.u32(4, true));
  let at = 12;
  while (at + 8 <= stop) {
    const length = view.u32(at + 4, true);
    if (at + 8 + length > stop) return;
    yield { type: view.text(at, 4), body: view.slice(at + 8, length) };
    at += 8 + length + (length % 2);
  }
}

interface Frame {
  readonly width: number;
  readonly height: number;
  readonly hasAlpha: boolean;
  readonly lossless: boolean;
}

/** Sides out of a VP8 or VP8L bitstream of which at least the beginning is there. */
function frameHeader(type: string, body: Uint8Array): Frame {
  const view = viewBytes(body, 'WebP');
  if (type === 'VP8 ') {
    if (view.u8(3) !== 0x9d || view.u8(4) !== 0x01 || view.u8(5) !== 0x2a) throw corrupt('WebP', 'no key frame');
    return { width: view.u16(6, true) & 0x3fff, height: view.u16(8, true) & 0x3fff, hasAlpha: false, lossless: false };
  }
  if (view.u8(0) !== 0x2f) throw corrupt('WebP', 'no lossless signature');
  const bits = view.u32(1, true);
  return {
    width: (bits & 0x3fff) + 1,
    height: ((bits >>> 14) & 0x3fff) + 1,
    hasAlpha: ((bits >>> 28) & 1) === 1,
    lossless: true,
  };
}

const still = { format: 'webp', bitDepth: 8, bitsPerSample: 8, grey: false } as const;

function header(bytes: Uint8Array): Header {
  const view = viewBytes(bytes, 'WebP');
  const type = view.text(12, 4);
  if (type === 'VP8 ' || type === 'VP8L') {
    const frame = frameHeader(type, bytes.subarray(20));
    if (frame.width === 0 || frame.height === 0)
      throw corrupt('WebP', `its sides are ${frame.width} × ${frame.height}`);
    return { ...still, ...frame, frames: 1, orientation: 1 };
  }
  if (type !== 'VP8X') throw corrupt('WebP', `it begins with a chunk "${type.replace(/[^\w ]/g, '?')}"`);
  const flags = view.u8(20);
  const [width, height] = [view.u24le(24) + 1, view.u24le(27) + 1];
  let [frames, orientation, lossless] = [0, 1, false];
  for (const chunk of chunks(bytes)) {
    if (chunk.type === 'ANMF') {
      frames++;
      // The frame's own chunks stand behind its sixteen bytes; an ALPH may come first.
      if (frames === 1) lossless = latin1(chunk.body.subarray(16, 20)) === 'VP8L';
    }
    if (chunk.type === 'EXIF') orientation = readOrientation(tiffBlock(chunk.body));
    if (chunk.type === 'VP8 ' || chunk.type === 'VP8L') {
      const frame = frameHeader(chunk.type, chunk.body);
      lossless = frame.lossless;
      if (frame.width !== width || frame.height !== height) {
        throw corrupt('WebP', `a canvas of ${width} × ${height} holds an image of ${frame.width} × ${frame.height}`);
      }
    }
  }
  const swapped = orientation > 4;
  return {
    ...still,
    width: swapped ? height : width,
    height: swapped ? width : height,
    lossless,
    hasAlpha: (flags & FLAGS.alpha) !== 0,
    // A still image in the animated layout counts as one frame.
    frames: flags & FLAGS.animation ? Math.max(1, frames) : 1,
    orientation,
  };
}

/**
 * The first frame of an animation as a still, for decoders that know no animation; a still comes back as it is. Throws
 * IMAGE_UNSUPPORTED when that frame does not cover the canvas.
 */
export function stillWebp(bytes: Uint8Array): Uint8Array {
  const frame = [...chunks(bytes)].find(({ type }) => type === 'ANMF')?.body;
  if (!frame) return bytes;
  const view = viewBytes(frame, 'WebP');
  const [width, height] = [view.u24le(6) + 1, view.u24le(9) + 1];
  const whole = header(bytes);
  if (view.u24le(0) > 0 || view.u24le(3) > 0 || width !== whole.width || height !== whole.height) {
    throw unsupported('The first frame of this WebP covers a part of the canvas only, which is not decoded here.');
  }
  const flags = Uint8Array.of(whole.hasAlpha ? FLAGS.alpha : 0, 0, 0, 0);
  const sides = [width, height].map((value) => u32le(value - 1).subarray(0, 3));
  const body = concat(ascii('WEBPVP8X'), u32le(10), flags, ...sides, frame.subarray(16));
  return concat(ascii('RIFF'), u32le(body.length), body);
}

function complete(bytes: Uint8Array): boolean {
  const view = viewBytes(bytes, 'WebP');
  if (8 + view.u32(4, true) > bytes.length) return false;
  return [...chunks(bytes)].some(({ type }) => type === 'VP8 ' || type === 'VP8L' || type === 'ANMF');
}

function metadata(bytes: Uint8Array): Metadata {
  const found: { -readonly [K in keyof Metadata]: Metadata[K] } = {};
  if (bytes.length < 12) throw truncated('WebP', bytes.length);
  for (const { type, body } of chunks(bytes)) {
    if (type === 'EXIF') found.exif ??= tiffBlock(body).slice();
    if (type === 'XMP ') found.xmp ??= body.slice();
    if (type === 'ICCP') found.icc ??= body.slice();
    if (type === 'C2PA') found.provenance = true;
  }
  return found;
}

/** Some writers put JPEG's `Exif\0\0` before the block. */
function tiffBlock(body: Uint8Array): Uint8Array {
  return startsWith(body, EXIF_ID) ? body.subarray(EXIF_ID.length) : body;
}

function turnBack(bytes: Uint8Array): void {
  for (const { type, body } of chunks(bytes)) if (type === 'EXIF') forgetOrientation(tiffBlock(body));
}

export const webp: Format = { header, complete, metadata, forgetOrientation: turnBack };
