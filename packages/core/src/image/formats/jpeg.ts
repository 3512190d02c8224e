import type { Header, Metadata } from '../codec.ts';
import { EXIF_ID, forgetOrientation, readOrientation } from '../metadata/orientation.ts';
import { ascii, concat, corrupt, includes, latin1, startsWith, unsupported, viewBytes } from './bytes.ts';
import type { Format, Mended } from './format.ts';

interface Segment {
  readonly marker: number;
  /** Without marker and length. */
  readonly body: Uint8Array;
  /** Offset of the first byte after it. */
  readonly end: number;
}

const SOS = 0xda;
const EOI = 0xd9;
export const XMP_ID = ascii('http://ns.adobe.com/xap/1.0/\0');
export const ICC_ID = ascii('ICC_PROFILE\0');
export const PHOTOSHOP_ID = ascii('Photoshop 3.0\0');

/** Stray bytes between two segments that are passed over, as every decoder does; more of them are no JPEG. */
const MOST_STRAY = 64 * 1024;

/** Segments up to and including the first SOS (T.81, B.1.1). Stray bytes before a marker are passed over. */
export function* segments(bytes: Uint8Array): Generator<Segment> {
  const view = viewBytes(bytes, 'JPEG');
  let [at, stray] = [2, 0];
  for (;;) {
    // A zero behind 0xff is stuffing: coded data that has lost its way.
    while (view.u8(at) !== 0xff || view.u8(at + 1) === 0) {
      at++;
      if (++stray > MOST_STRAY) throw corrupt('JPEG', `no marker before byte ${at}`);
    }
    while (view.u8(at) === 0xff) at++;
    const marker = view.u8(at++);
    if (marker === EOI) return;
    // TEM and RSTn stand alone.
    if (marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8)) continue;
    const length = view.u16(at);
    if (length < 2) throw corrupt('JPEG', `a segment of length ${length} at byte ${at}`);
    yield { marker, body: view.slice(at + 2, length - 2), end: at + length };
    at += length;
    if (marker === SOS) return;
  }
}

function isFrame(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
}

function header(bytes: Uint8Array): Header {
  let orientation = 1;
  for (const { marker, body } of segments(bytes)) {
    if (marker === 0xe1 && startsWith(body, EXIF_ID)) orientation = readOrientation(body.subarray(EXIF_ID.length));
    if (isFrame(marker)) return frameHeader(marker, body, orientation);
    if (marker === 0xf7)
      throw unsupported('This JPEG is a JPEG-LS, which is not decoded here; save it as a common one.');
  }
  throw corrupt('JPEG', 'it has no frame header');
}

function frameHeader(marker: number, body: Uint8Array, orientation: number): Header {
  const view = viewBytes(body, 'JPEG');
  const components = view.u8(5);
  if (marker > 0xc2)
    throw unsupported('This JPEG is lossless, hierarchical or arithmetic coded; save it as a common one.');
  if (view.u8(0) !== 8) throw unsupported(`This JPEG has ${view.u8(0)} bits a sample; only 8 are decoded.`);
  if (![1, 3, 4].includes(components)) throw corrupt('JPEG', `${components} colour components`);
  const [height, width] = [view.u16(1), view.u16(3)];
  if (width === 0 || height === 0) throw corrupt('JPEG', `its sides are ${width} × ${height}`);
  const swapped = orientation > 4;
  return {
    format: 'jpeg',
    width: swapped ? height : width,
    height: swapped ? width : height,
    bitDepth: 8,
    bitsPerSample: 8,
    hasAlpha: false,
    grey: components === 1,
    lossless: false,
    frames: 1,
    orientation,
  };
}

/** Colour components: 1 grey, 3 YCbCr or RGB, 4 CMYK. */
export function jpegComponents(bytes: Uint8Array): number {
  for (const { marker, body } of segments(bytes)) {
    if (isFrame(marker)) return body[5] ?? 0;
  }
  return 0;
}

/** More scans than any encoder writes (a progressive file has about ten): each costs a pass over all coefficients. */
const MOST_SCANS = 100;

/** Walks over the coded data, from `start` on: where the end marker stands, if it is there, and how many scans came before. */
function walkScans(bytes: Uint8Array, start: number): { readonly eoi: number | undefined; readonly scans: number } {
  let [at, scans] = [start, 1];
  for (;;) {
    at = bytes.indexOf(0xff, at);
    if (at < 0 || at + 1 >= bytes.length) return { eoi: undefined, scans };
    const marker = bytes[at + 1]!;
    if (marker === EOI) return { eoi: at, scans };
    if (marker === SOS) scans++;
    if (marker === 0xff) at += 1;
    else if (marker <= 0x01 || (marker >= 0xd0 && marker <= 0xd8)) at += 2;
    else at += 2 + ((bytes[at + 2]! << 8) | bytes[at + 3]!);
  }
}

/** Where the picture ends: behind its end marker, which other pictures or a video may follow. */
export function endOfImage(bytes: Uint8Array): number | undefined {
  let start = 2;
  for (const { end } of segments(bytes)) start = end;
  const { eoi } = walkScans(bytes, start);
  return eoi === undefined ? undefined : eoi + 2;
}

/**
 * True when an end marker is reached and the coded data could hold the announced size: every 8 × 8 block of the first
 * component takes one bit at the very least, so a frame header that lies grossly shows here.
 */
function complete(bytes: Uint8Array): boolean {
  let start = 0;
  let blocks = 0;
  for (const { marker, body, end } of segments(bytes)) {
    start = end;
    if (isFrame(marker))
      blocks = Math.ceil(((body[1]! << 8) | body[2]!) / 8) * Math.ceil(((body[3]! << 8) | body[4]!) / 8);
  }
  const { eoi, scans } = walkScans(bytes, start);
  if (scans > MOST_SCANS) throw corrupt('JPEG', `it has ${scans} scans, more than the ${MOST_SCANS} allowed`);
  return eoi !== undefined && (eoi - start) * 8 >= blocks;
}

/** Without the stray bytes that some cameras leave between segments, and with the end marker that others forget. */
function mend(bytes: Uint8Array): Mended {
  const parts = [bytes.subarray(0, 2)];
  let [at, stray] = [2, 0];
  for (const { body, end } of segments(bytes)) {
    const start = end - body.length - 4;
    stray += start - at;
    parts.push(bytes.subarray(start, end));
    at = end;
  }
  const { eoi } = walkScans(bytes, at);
  const flaws = [];
  if (stray > 0) flaws.push(`${stray} stray bytes between its segments`);
  if (eoi === undefined) flaws.push('no end marker');
  if (flaws.length === 0) return { bytes, flaws };
  const rest = bytes.subarray(at);
  return { bytes: concat(...parts, rest, eoi === undefined ? Uint8Array.of(0xff, EOI) : new Uint8Array(0)), flaws };
}

function metadata(bytes: Uint8Array): Metadata {
  const found: { -readonly [K in keyof Metadata]: Metadata[K] } = {};
  const profile = new Map<number, Uint8Array>();
  for (const { marker, body } of segments(bytes)) {
    if (marker === 0xe0 && startsWith(body, ascii('JFIF\0')) && body.length >= 12) {
      const density = (body[8]! << 8) | body[9]!;
      // Unit 1 is dots an inch, 2 dots a centimetre.
      if (density > 1 && body[7] === 1) found.density = density;
      if (density > 1 && body[7] === 2) found.density = density * 2.54;
    }
    if (marker === 0xe1 && startsWith(body, EXIF_ID)) found.exif ??= body.slice(EXIF_ID.length);
    if (marker === 0xe1 && startsWith(body, XMP_ID)) found.xmp ??= body.slice(XMP_ID.length);
    if (marker === 0xe2 && startsWith(body, ICC_ID))
      profile.set(body[ICC_ID.length]!, body.subarray(ICC_ID.length + 2));
    if (marker === 0xed && startsWith(body, PHOTOSHOP_ID)) {
      const iptc = imageResource(body.subarray(PHOTOSHOP_ID.length), 0x0404);
      if (iptc) found.iptc ??= iptc;
    }
    if (marker === 0xeb && latin1(body.subarray(0, 64)).includes('c2pa')) found.provenance = true;
  }
  const rest = bytes.subarray(endOfImage(bytes) ?? bytes.length);
  if (includes(rest, ascii('ftyp')) || includes(rest, Uint8Array.of(0xff, 0xd8, 0xff))) found.trailer = true;
  const icc = [...profile].sort(([a], [b]) => a - b).map(([, part]) => part);
  if (icc.length > 0) found.icc = concat(...icc);
  return found;
}

/** One resource out of Photoshop's list: `8BIM`, id, Pascal name padded to even, size, data padded to even. */
function imageResource(list: Uint8Array, wanted: number): Uint8Array | undefined {
  const data = new DataView(list.buffer, list.byteOffset, list.byteLength);
  let at = 0;
  while (at + 12 <= list.length && startsWith(list, ascii('8BIM'), at)) {
    const id = data.getUint16(at + 4);
    const name = 1 + list[at + 6]!;
    const sizeAt = at + 6 + name + (name % 2);
    if (sizeAt + 4 > list.length) return undefined;
    const size = data.getUint32(sizeAt);
    if (sizeAt + 4 + size > list.length) return undefined;
    if (id === wanted) return list.slice(sizeAt + 4, sizeAt + 4 + size);
    at = sizeAt + 4 + size + (size % 2);
  }
  return undefined;
}

function turnBack(bytes: Uint8Array): void {
  for (const { marker, body } of segments(bytes)) {
    if (marker === 0xe1 && startsWith(body, EXIF_ID)) forgetOrientation(body.subarray(EXIF_ID.length));
  }
}

export const jpeg: Format = { header, complete, mend, metadata, forgetOrientation: turnBack };
