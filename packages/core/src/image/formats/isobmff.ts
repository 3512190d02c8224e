import type { Header, ImageFormat, Metadata } from '../codec.ts';
import { type Cicp, isPlain } from '../colour/space.ts';
import { type ByteView, concat, corrupt, latin1, unsupported, viewBytes } from './bytes.ts';
import type { Format } from './format.ts';

/** One box of ISO/IEC 14496-12; `start`…`end` is its content. */
export interface Box {
  readonly type: string;
  readonly at: number;
  readonly start: number;
  readonly end: number;
}

/** Where an item's bytes lie (ISO/IEC 14496-12, 8.11.3). */
export interface Item {
  readonly type: string;
  readonly contentType: string;
  /** Offsets into the file (`method` 0) or into `idat` (1). */
  readonly method: number;
  readonly extents: readonly { readonly offset: number; readonly length: number }[];
}

/** Boxes within [start, end); the last is clipped when it claims to go on. Throws IMAGE_CORRUPT for impossible sizes. */
export function boxes(view: ByteView, start: number, end: number): Box[] {
  const found: Box[] = [];
  let at = start;
  while (at + 8 <= end) {
    let [size, head] = [view.u32(at), 8];
    if (size === 1) {
      size = view.u32(at + 8) * 2 ** 32 + view.u32(at + 12);
      head = 16;
    }
    if (size === 0) size = end - at;
    if (size < head) throw corrupt('AVIF or HEIF', `a box of ${size} bytes`);
    found.push({ type: view.text(at + 4, 4), at, start: at + head, end: Math.min(at + size, end) });
    at += size;
  }
  return found;
}

/** The `meta` box with its children, version and flags skipped. */
export function metaBoxes(view: ByteView): { meta: Box; children: Box[] } {
  const meta = boxes(view, 0, view.length).find(({ type }) => type === 'meta');
  if (!meta) throw corrupt('AVIF or HEIF', 'it has no meta box');
  return { meta, children: boxes(view, meta.start + 4, meta.end) };
}

/** A big-endian unsigned integer of 0, 2, 4 or 8 bytes. */
function uint(view: ByteView, at: number, size: number): number {
  if (size === 0) return 0;
  if (size === 2) return view.u16(at);
  if (size === 8) return view.u32(at) * 2 ** 32 + view.u32(at + 4);
  return view.u32(at);
}

/** All items by their ids. */
export function readItems(view: ByteView, children: readonly Box[]): Map<number, Item> {
  const iinf = children.find(({ type }) => type === 'iinf');
  const iloc = children.find(({ type }) => type === 'iloc');
  if (!iinf || !iloc) throw corrupt('AVIF or HEIF', 'it lists no items');
  const kinds = new Map<number, { type: string; contentType: string }>();
  const entries = iinf.start + (view.u8(iinf.start) === 0 ? 6 : 8);
  for (const infe of boxes(view, entries, iinf.end)) {
    const wide = view.u8(infe.start) >= 3;
    const at = infe.start + 4;
    const type = view.text(at + (wide ? 6 : 4), 4);
    const rest = latin1(view.bytes.subarray(at + (wide ? 10 : 8), infe.end)).split('\0');
    kinds.set(uint(view, at, wide ? 4 : 2), { type, contentType: type === 'mime' ? (rest[1] ?? '') : '' });
  }

  const items = new Map<number, Item>();
  const version = view.u8(iloc.start);
  const [sizes, sizes2] = [view.u8(iloc.start + 4), view.u8(iloc.start + 5)];
  const [offsetSize, lengthSize, baseSize] = [sizes >> 4, sizes & 15, sizes2 >> 4];
  const indexSize = version === 0 ? 0 : sizes2 & 15;
  const each = indexSize + offsetSize + lengthSize;
  let at = iloc.start + 6;
  const count = uint(view, at, version < 2 ? 2 : 4);
  at += version < 2 ? 2 : 4;
  for (let i = 0; i < count; i++) {
    const id = uint(view, at, version < 2 ? 2 : 4);
    at += version < 2 ? 2 : 4;
    const method = version === 0 ? 0 : view.u16(at) & 15;
    at += version === 0 ? 2 : 4;
    const base = uint(view, at, baseSize);
    const extentCount = view.u16(at + baseSize);
    at += baseSize + 2;
    // Extents of no bytes cost the file nothing and us an object each; honest files have one such extent at most.
    if (extentCount > 1 && each === 0) throw corrupt('AVIF or HEIF', `an item of ${extentCount} extents without bytes`);
    view.slice(at, extentCount * each);
    if (at + extentCount * each > iloc.end) throw corrupt('AVIF or HEIF', 'an item has more extents than its list');
    const extents = [];
    for (let k = 0; k < extentCount; k++) {
      at += indexSize;
      extents.push({ offset: base + uint(view, at, offsetSize), length: uint(view, at + offsetSize, lengthSize) });
      at += offsetSize + lengthSize;
    }
    items.set(id, { type: '', contentType: '', ...kinds.get(id), method, extents });
  }
  return items;
}

/** Properties of the items, each item's in the order in which they apply. Read once, whatever number of items is asked for. */
function readProperties(view: ByteView, children: readonly Box[]): (item: number) => readonly Box[] {
  const iprp = children.find(({ type }) => type === 'iprp');
  const inner = iprp ? boxes(view, iprp.start, iprp.end) : [];
  const ipco = inner.find(({ type }) => type === 'ipco');
  const known = ipco ? boxes(view, ipco.start, ipco.end) : [];
  const found = new Map<number, Box[]>();
  for (const ipma of inner.filter(({ type }) => type === 'ipma')) {
    const wideId = view.u8(ipma.start) > 0;
    const wideIndex = (view.u8(ipma.start + 3) & 1) === 1;
    let at = ipma.start + 8;
    // Whatever number is announced: the box ends where it ends, else every box could walk to the end of the file.
    for (let left = view.u32(ipma.start + 4); left > 0 && at < ipma.end; left--) {
      const id = wideId ? view.u32(at) : view.u16(at);
      at += wideId ? 4 : 2;
      const list = found.get(id) ?? [];
      found.set(id, list);
      for (let count = view.u8(at++); count > 0 && at < ipma.end; count--) {
        const box = known[(wideIndex ? view.u16(at) & 0x7fff : view.u8(at) & 0x7f) - 1];
        at += wideIndex ? 2 : 1;
        if (box) list.push(box);
      }
    }
  }
  return (item) => found.get(item) ?? [];
}

/** irot turns anticlockwise by quarters, imir then mirrors; together one EXIF orientation. */
function orientationOf(view: ByteView, list: readonly Box[]): number {
  const irot = list.find(({ type }) => type === 'irot');
  const imir = list.find(({ type }) => type === 'imir');
  const turns = irot ? view.u8(irot.start) & 3 : 0;
  if (!imir) return [1, 8, 3, 6][turns]!;
  // Axis 0 exchanges top and bottom, axis 1 left and right.
  return (view.u8(imir.start) & 1) === 0 ? [4, 5, 2, 7][turns]! : [2, 7, 4, 5][turns]!;
}

function headerAs(format: ImageFormat) {
  return (bytes: Uint8Array): Header => {
    const view = viewBytes(bytes, 'AVIF or HEIF');
    const { children } = metaBoxes(view);
    const pitm = children.find(({ type }) => type === 'pitm');
    if (!pitm) throw corrupt('AVIF or HEIF', 'it names no primary image');
    const primary = view.u8(pitm.start) === 0 ? view.u16(pitm.start + 4) : view.u32(pitm.start + 4);
    const properties = readProperties(view, children);
    const list = properties(primary);
    if (list.some(({ type }) => type === 'clap'))
      throw unsupported('This AVIF or HEIF has a clean aperture; crop it first.');
    const ispe = list.find(({ type }) => type === 'ispe');
    if (!ispe) throw corrupt('AVIF or HEIF', 'its primary image has no size');
    const [width, height] = [view.u32(ispe.start + 4), view.u32(ispe.start + 8)];
    if (width === 0 || height === 0) throw corrupt('AVIF or HEIF', `its sides are ${width} × ${height}`);
    const orientation = orientationOf(view, list);
    const swapped = orientation > 4;
    return {
      format,
      width: swapped ? height : width,
      height: swapped ? width : height,
      ...samplesOf(view, list),
      hasAlpha: hasAlpha(view, children, primary, properties),
      lossless: LOSSLESS_MATRICES.includes(nclxOf(view, list)?.matrix ?? 2),
      frames: view.text(8, 4) === 'avis' ? sequenceLength(view) : 1,
      orientation,
    };
  };
}

/** Identity and YCgCo-R: what encoders choose when not a level may be lost, and else never. */
const LOSSLESS_MATRICES = [0, 16, 17];

function samplesOf(view: ByteView, list: readonly Box[]): Pick<Header, 'bitDepth' | 'bitsPerSample' | 'grey'> {
  const av1C = list.find(({ type }) => type === 'av1C');
  const flags = av1C ? view.u8(av1C.start + 2) : 0;
  const pixi = list.find(({ type }) => type === 'pixi');
  // High bit depth is 0x40, twelve bits 0x20, monochrome 0x10.
  const coded = (flags & 0x40) === 0 ? 8 : (flags & 0x20) === 0 ? 10 : 12;
  const bitsPerSample = Math.max(8, pixi ? view.u8(pixi.start + 5) : coded);
  const grey = (flags & 0x10) !== 0 || (pixi !== undefined && view.u8(pixi.start + 4) === 1);
  return { bitDepth: bitsPerSample > 8 ? 16 : 8, bitsPerSample, grey };
}

/** Code points of the first `colr` that holds some. */
function nclxOf(view: ByteView, list: readonly Box[]): Cicp | undefined {
  const box = list.find(
    ({ type, start, end }) => type === 'colr' && end - start >= 11 && view.text(start, 4) === 'nclx',
  );
  if (!box) return undefined;
  const [primaries, transfer, matrix] = [4, 6, 8].map((at) => view.u16(box.start + at)) as [number, number, number];
  return { primaries, transfer, matrix, fullRange: (view.u8(box.start + 10) & 0x80) !== 0 };
}

/** No name of an auxiliary image's kind is longer. */
const LONGEST_KIND = 256;

/** Whether some auxiliary image of the primary one is its alpha plane. */
function hasAlpha(
  view: ByteView,
  children: readonly Box[],
  primary: number,
  properties: (item: number) => readonly Box[],
): boolean {
  const iref = children.find(({ type }) => type === 'iref');
  if (!iref) return false;
  const size = view.u8(iref.start) === 0 ? 2 : 4;
  const auxiliary = new Set<number>();
  for (const { type, start, end } of boxes(view, iref.start + 4, iref.end)) {
    if (type !== 'auxl') continue;
    const first = start + size + 2;
    const count = Math.min(view.u16(start + size), Math.floor((end - first) / size));
    const targets = Array.from({ length: Math.max(0, count) }, (_, i) => uint(view, first + i * size, size));
    if (targets.includes(primary)) auxiliary.add(uint(view, start, size));
  }
  return [...auxiliary].some((item) => {
    const auxC = properties(item).find(({ type }) => type === 'auxC');
    if (!auxC) return false;
    const kind = view.bytes.subarray(auxC.start + 4, Math.min(auxC.end, auxC.start + 4 + LONGEST_KIND));
    return /:alpha|auxid:1\0/.test(latin1(kind));
  });
}

/** Samples of the first track that has some. */
function sequenceLength(view: ByteView): number {
  const into = (box: Box, ...path: string[]): Box[] => {
    const inner = boxes(view, box.start, box.end);
    const [type, ...rest] = path;
    return inner
      .filter((child) => child.type === type)
      .flatMap((child) => (rest.length ? into(child, ...rest) : [child]));
  };
  const moov = boxes(view, 0, view.length).find(({ type }) => type === 'moov');
  const sizes = moov ? into(moov, 'trak', 'mdia', 'minf', 'stbl', 'stsz') : [];
  return sizes.reduce((most, { start }) => Math.max(most, view.u32(start + 8)), 1);
}

function complete(bytes: Uint8Array): boolean {
  const view = viewBytes(bytes, 'AVIF or HEIF');
  const items = [...readItems(view, metaBoxes(view).children).values()];
  return items.every(
    ({ method, extents }) => method !== 0 || extents.every((e) => e.offset + e.length <= bytes.length),
  );
}

function metadata(bytes: Uint8Array): Metadata {
  const view = viewBytes(bytes, 'AVIF or HEIF');
  const { children } = metaBoxes(view);
  const found: { -readonly [K in keyof Metadata]: Metadata[K] } = {};
  const idat = children.find(({ type }) => type === 'idat');
  for (const { type, contentType, method, extents } of readItems(view, children).values()) {
    if (type !== 'Exif' && contentType !== 'application/rdf+xml') continue;
    if (type === 'Exif' ? found.exif : found.xmp) continue;
    // Extents may name the same bytes again and again; no honest item is larger than its file.
    if (extents.reduce((sum, { length }) => sum + length, 0) > bytes.length) continue;
    const base = method === 1 ? (idat?.start ?? 0) : 0;
    const data = concat(...extents.map(({ offset, length }) => view.slice(base + offset, length)));
    if (type !== 'Exif') found.xmp ??= data;
    // Four bytes say how far behind them the TIFF header begins.
    else if (data.length > 8) found.exif ??= data.slice(4 + viewBytes(data, 'EXIF').u32(0));
  }
  const pitm = children.find(({ type }) => type === 'pitm');
  const primary = pitm ? uint(view, pitm.start + 4, view.u8(pitm.start) === 0 ? 2 : 4) : 0;
  const properties = readProperties(view, children)(primary);
  for (const { type, start, end } of properties) {
    if (type === 'colr' && /^(prof|rICC)$/.test(view.text(start, 4))) found.icc ??= bytes.slice(start + 4, end);
  }
  const signed = ({ type, start, end }: Box) =>
    type === 'jumb' ||
    (type === 'uuid' && latin1(view.bytes.subarray(start, Math.min(end, start + 256))).includes('c2pa'));
  if (boxes(view, 0, view.length).some(signed)) found.provenance = true;
  const cicp = nclxOf(view, properties);
  // Beside a profile the code points speak of YCbCr alone (MIAF, 7.3.6.4).
  if (cicp && !found.icc && !isPlain(cicp)) found.cicp = cicp;
  return found;
}

export const avif: Format = { header: headerAs('avif'), complete, metadata };
export const heif: Format = { header: headerAs('heif'), complete, metadata };
