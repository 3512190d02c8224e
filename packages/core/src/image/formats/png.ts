import { Unzlib } from 'fflate';
import { crc32 } from '../../base/crc32.ts';
import type { Header, Metadata } from '../codec.ts';
import type { Chromaticities } from '../colour/matrix.ts';
import { forgetOrientation, readOrientation } from '../metadata/orientation.ts';
import { ascii, concat, corrupt, startsWith, u32be, unsupported, viewBytes } from './bytes.ts';
import type { Format, Mended } from './format.ts';
import { pngChunk } from './png-write.ts';

interface Chunk {
  readonly type: string;
  readonly body: Uint8Array;
  readonly end: number;
}

/** Colour types and the bit depths that each allows (PNG 3rd edition, table 8). */
const DEPTHS: Readonly<Record<number, readonly number[]>> = {
  0: [1, 2, 4, 8, 16],
  2: [8, 16],
  3: [1, 2, 4, 8],
  4: [8, 16],
  6: [8, 16],
};

/** An ICC profile or a text chunk may inflate to no more than this. */
const MOST_INFLATED = 4 * 1024 * 1024;
/** Bytes that are inflated at once; from as many come 16 MiB at most. */
const PIECE = 16 * 1024;

export const XMP_KEYWORD = 'XML:com.adobe.xmp';

/** All whole chunks; stops without a word where the bytes end. */
export function* chunks(bytes: Uint8Array): Generator<Chunk> {
  const view = viewBytes(bytes, 'PNG');
  let at = 8;
  while (at + 12 <= bytes.length) {
    const length = view.u32(at);
    const end = at + 12 + length;
    if (end > bytes.length) return;
    yield { type: view.text(at + 4, 4), body: view.slice(at + 8, length), end };
    at = end;
  }
}

/** The still picture alone: what decides pixels, without animation, profiles and texts. */
export function stillPng(bytes: Uint8Array): Uint8Array {
  const wanted = ['IHDR', 'PLTE', 'tRNS', 'IDAT', 'IEND'];
  const parts = [bytes.subarray(0, 8)];
  for (const { type, body, end } of chunks(bytes)) {
    if (wanted.includes(type)) parts.push(bytes.subarray(end - body.length - 12, end));
  }
  return concat(...parts);
}

function header(bytes: Uint8Array): Header {
  const view = viewBytes(bytes, 'PNG');
  if (view.text(12, 4) === 'CgBI') {
    throw unsupported('This PNG was rewritten for iPhone apps (CgBI), which nothing else decodes; take the original.');
  }
  if (view.u32(8) !== 13 || view.text(12, 4) !== 'IHDR') throw corrupt('PNG', 'its first chunk is not a header');
  const [width, height] = [view.u32(16), view.u32(20)];
  const [depth, colour] = [view.u8(24), view.u8(25)];
  if (view.u32(29) !== crc32(view.slice(12, 17))) throw corrupt('PNG', 'the checksum of its header is wrong');
  if (width === 0 || height === 0 || width > 0x7fffffff || height > 0x7fffffff) {
    throw corrupt('PNG', `its sides are ${width} × ${height}`);
  }
  if (!DEPTHS[colour]?.includes(depth)) throw corrupt('PNG', `colour type ${colour} with ${depth} bits does not exist`);
  let [frames, orientation, hasAlpha] = [1, 1, colour >= 4];
  for (const { type, body } of chunks(bytes)) {
    if (type === 'acTL' && body.length >= 8) frames = Math.max(1, viewBytes(body, 'PNG').u32(0));
    if (type === 'tRNS') hasAlpha = true;
    if (type === 'eXIf') orientation = readOrientation(body);
    if (type === 'IEND') break;
  }
  const swapped = orientation > 4;
  return {
    format: 'png',
    width: swapped ? height : width,
    height: swapped ? width : height,
    bitDepth: depth === 16 ? 16 : 8,
    // A palette's entries have 8.
    bitsPerSample: depth === 16 ? 16 : 8,
    grey: colour === 0 || colour === 4,
    lossless: true,
    hasAlpha,
    frames,
    orientation,
  };
}

function complete(bytes: Uint8Array): boolean {
  for (const { type } of chunks(bytes)) {
    if (type === 'IEND') return true;
  }
  return false;
}

/** Without chunks that no pixel depends on and whose checksum is wrong, and with the end that is missing. */
function mend(bytes: Uint8Array): Mended {
  const parts = [bytes.subarray(0, 8)];
  const flaws = [];
  let at = 8;
  let ended = false;
  for (const { type, body, end } of chunks(bytes)) {
    at = end;
    const ancillary = /^[a-z]/.test(type) && type !== 'tRNS';
    const sum = viewBytes(bytes, 'PNG').u32(end - 4);
    if (ancillary && sum !== crc32(bytes.subarray(end - body.length - 8, end - 4))) {
      flaws.push(`a wrong checksum of its chunk ${type.replace(/[^a-zA-Z]/g, '?')}`);
      continue;
    }
    parts.push(bytes.subarray(end - body.length - 12, end));
    if (type !== 'IEND') continue;
    ended = true;
    break;
  }
  // Only where nothing but the end is missing: a chunk that is cut off is truncation.
  if (!ended && at === bytes.length && parts.length > 2) {
    flaws.push('no end chunk');
    parts.push(pngChunk('IEND', new Uint8Array(0)));
  }
  return flaws.length === 0 ? { bytes, flaws } : { bytes: concat(...parts), flaws };
}

function metadata(bytes: Uint8Array): Metadata {
  const found: { -readonly [K in keyof Metadata]: Metadata[K] } = {};
  // There is one profile and one packet in a sound file: thousands of others, each inflated in vain, would cost minutes.
  let [profiles, packets, standard] = [0, 0, false];
  for (const { type, body } of chunks(bytes)) {
    if (type === 'IDAT') continue;
    if (type === 'caBX') found.provenance = true;
    if (type === 'cICP' && body.length === 4) {
      const [primaries, transfer, matrix, range] = body as unknown as [number, number, number, number];
      found.cicp = { primaries, transfer, matrix, fullRange: range === 1 };
    }
    if (type === 'sRGB') standard = true;
    if (type === 'gAMA' && body.length === 4) found.gamma = viewBytes(body, 'PNG').u32(0) / 100_000;
    if (type === 'cHRM' && body.length === 32) found.chromaticities = primaries(body);
    if (type === 'eXIf') found.exif ??= body.slice();
    if (type === 'pHYs' && body.length === 9 && body[8] === 1) found.density = viewBytes(body, 'PNG').u32(0) * 0.0254;
    if (type === 'iCCP' && profiles++ === 0) {
      const icc = inflate(body.subarray(body.indexOf(0) + 2));
      if (icc) found.icc = icc;
    }
    if (type === 'iTXt' && startsWith(body, ascii(`${XMP_KEYWORD}\0`)) && packets++ === 0) {
      const xmp = internationalText(body.subarray(XMP_KEYWORD.length + 1));
      if (xmp) found.xmp = xmp;
    }
  }
  // Beside a profile or sRGB's own chunk they are for readers that know neither.
  if (standard || found.icc || found.cicp) {
    delete found.gamma;
    delete found.chromaticities;
  }
  return found;
}

/** `cHRM`: white, red, green, blue, each x and y in hundred-thousandths. */
function primaries(body: Uint8Array): Chromaticities {
  const view = viewBytes(body, 'PNG');
  return Array.from({ length: 8 }, (_, i) => view.u32(4 * i) / 100_000) as unknown as Chromaticities;
}

/** Compression flag, method, language tag, 0, translated keyword, 0, text. */
function internationalText(body: Uint8Array): Uint8Array | undefined {
  const language = body.indexOf(0, 2);
  const keyword = body.indexOf(0, language + 1);
  if (language < 0 || keyword < 0) return undefined;
  const text = body.subarray(keyword + 1);
  return body[0] === 1 ? inflate(text) : text.slice();
}

/** In pieces, so that a bomb is left as soon as it has brought too much. Damaged data give nothing. */
function inflate(data: Uint8Array): Uint8Array | undefined {
  const parts: Uint8Array[] = [];
  let length = 0;
  const stream = new Unzlib((part) => {
    parts.push(part);
    length += part.length;
  });
  try {
    for (let at = 0, last = false; !last; at += PIECE) {
      last = at + PIECE >= data.length;
      stream.push(data.subarray(at, at + PIECE), last);
      if (length > MOST_INFLATED) return undefined;
    }
  } catch {
    return undefined;
  }
  return concat(...parts);
}

function turnBack(bytes: Uint8Array): void {
  for (const { type, body, end } of chunks(bytes)) {
    if (type !== 'eXIf') continue;
    forgetOrientation(body);
    bytes.set(u32be(crc32(bytes.subarray(end - body.length - 8, end - 4))), end - 4);
  }
}

export const png: Format = { header, complete, mend, metadata, forgetOrientation: turnBack };
