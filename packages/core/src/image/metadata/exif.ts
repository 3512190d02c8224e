import { concat, corrupt } from '../formats/bytes.ts';
import { type Directory, type Entry, openTiff, type Tiff, TYPE_SIZES } from '../formats/ifd.ts';
import { attempt, ORIENTATION_TAG } from './orientation.ts';

const TAG = {
  description: 270,
  make: 271,
  model: 272,
  orientation: ORIENTATION_TAG,
  xResolution: 282,
  yResolution: 283,
  resolutionUnit: 296,
  software: 305,
  dateTime: 306,
  artist: 315,
  thumbnailAt: 513,
  thumbnailLength: 514,
  copyright: 33432,
  exif: 34665,
  gps: 34853,
  makerNote: 37500,
  pixelWidth: 40962,
  pixelHeight: 40963,
  interoperability: 40965,
} as const;

/** What describes a picture in a TIFF's first directory; the rest there describes how its pixels are stored. */
export const DESCRIPTIVE: ReadonlySet<number> = new Set([
  TAG.description,
  TAG.make,
  TAG.model,
  TAG.xResolution,
  TAG.yResolution,
  TAG.resolutionUnit,
  TAG.software,
  TAG.dateTime,
  TAG.artist,
  TAG.copyright,
]);

/** One field to be written; `value` is little-endian. */
export interface Field {
  readonly tag: number;
  readonly type: number;
  readonly value: Uint8Array;
}

/** `Artist` and `Copyright`, trimmed; absent when empty or damaged. */
export function readExifRights(block: Uint8Array): { creator?: string; notice?: string } {
  const found = attempt(() => {
    const tiff = openTiff(block);
    const { entries } = tiff.directory(tiff.first);
    const text = (tag: number) => {
      const entry = entries.get(tag);
      // Copyright may hold the photographer's and, behind a zero, the editor's.
      const raw = entry?.type === 2 ? decodeText(tiff.value(entry)) : '';
      return raw
        .split('\0')
        .map((part) => part.trim())
        .filter(Boolean)
        .join('; ');
    };
    return { creator: text(TAG.artist), notice: text(TAG.copyright) };
  });
  return { ...(found?.creator && { creator: found.creator }), ...(found?.notice && { notice: found.notice }) };
}

/** UTF-8 where it is valid, else Latin-1: EXIF and IPTC leave it open in practice. */
export function decodeText(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder('latin1').decode(bytes);
  }
}

/** A block with nothing but `Artist` and `Copyright`. */
export function writeExifRights(rights: {
  creator?: string | undefined;
  notice?: string | undefined;
}): Uint8Array | undefined {
  const field = (tag: number, text: string | undefined): Field[] =>
    text ? [{ tag, type: 2, value: new TextEncoder().encode(`${text}\0`) }] : [];
  const fields = [...field(TAG.artist, rights.creator), ...field(TAG.copyright, rights.notice)];
  return fields.length > 0 ? writeTiff(fields, []) : undefined;
}

/**
 * The block for `keep`: patched in place, so that a maker note's offsets stay true. Gone are the orientation (pixels are
 * upright now), the thumbnail (it shows the picture before) and the pixel sides (they may have changed).
 */
export function upright(block: Uint8Array): Uint8Array | undefined {
  return attempt(() => {
    const copy = block.slice();
    const tiff = openTiff(copy);
    if (tiff.big) return undefined;
    const first = tiff.directory(tiff.first);
    if (first.linked && first.next > 0) {
      const thumbnail = tiff.directory(first.next).entries;
      const [at] = tiff.numbers(thumbnail.get(TAG.thumbnailAt), 1);
      const [length] = tiff.numbers(thumbnail.get(TAG.thumbnailLength), 1);
      if (at && length) copy.fill(0, at, at + length);
      copy.fill(0, first.nextAt, first.nextAt + 4);
    }
    const [exifAt] = tiff.numbers(first.entries.get(TAG.exif), 1);
    if (exifAt) removeEntries(copy, tiff, exifAt, [TAG.pixelWidth, TAG.pixelHeight]);
    removeEntries(copy, tiff, tiff.first, [TAG.orientation]);
    return copy;
  });
}

/** Takes fields out of a directory, in place; what the others point at does not move. */
export function removeEntries(bytes: Uint8Array, tiff: Tiff, directoryAt: number, tags: readonly number[]): void {
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const tag of tags) {
    const { entries, nextAt, linked, length } = tiff.directory(directoryAt);
    const entry = entries.get(tag);
    if (!entry) continue;
    const [size, link] = tiff.big ? [20, 8] : [12, 4];
    const end = linked ? Math.min(nextAt + link, bytes.length) : nextAt;
    bytes.copyWithin(entry.at, entry.at + size, end);
    bytes.fill(0, end - size, end);
    const low = tiff.big && !tiff.littleEndian ? directoryAt + 6 : directoryAt;
    data.setUint16(low, length - 1, tiff.littleEndian);
  }
}

/** A TIFF file's descriptive fields as an EXIF block of their own. */
export function exifFromDirectory(tiff: Tiff, directory: Directory): Uint8Array | undefined {
  return attempt(() => {
    const { fields, subs } = descriptive(tiff, directory);
    return fields.length + subs.length > 0 ? writeTiff(fields, subs) : undefined;
  });
}

/** A block's fields, for formats that spread them over directories of their own. */
export function exifFields(block: Uint8Array): Described {
  const found = attempt(() => {
    const tiff = openTiff(block);
    return descriptive(tiff, tiff.directory(tiff.first));
  });
  return found ?? { fields: [], subs: [] };
}

export interface Described {
  readonly fields: readonly Field[];
  readonly subs: readonly SubDirectory[];
}

/** Descriptive fields with the EXIF and GPS directories. A maker note cannot be moved, so it stays behind. */
function descriptive(tiff: Tiff, { entries }: Directory): Described {
  // Values may lie over one another, each as long as the file: together they must not be longer than it.
  let left = tiff.view.length;
  const read = (entry: Entry) => {
    left -= (TYPE_SIZES[entry.type] ?? 1) * entry.count;
    if (left < 0) throw corrupt('EXIF', 'its values lie over one another');
    return toField(tiff, entry);
  };
  const fields = [...entries.values()].filter(({ tag }) => DESCRIPTIVE.has(tag)).map(read);
  const subs = [TAG.exif, TAG.gps].flatMap((tag) => {
    const [at] = tiff.numbers(entries.get(tag), 1);
    if (!at) return [];
    const inner = [...tiff.directory(at).entries.values()];
    const kept = inner.filter((e) => e.tag !== TAG.makerNote && e.tag !== TAG.interoperability && TYPE_SIZES[e.type]);
    return [{ tag, fields: kept.map(read) }];
  });
  return { fields, subs };
}

export interface SubDirectory {
  readonly tag: number;
  readonly fields: readonly Field[];
}

function toField(tiff: Tiff, entry: Entry): Field {
  const value = tiff.value(entry).slice();
  // Rationals are pairs of four bytes.
  const unit = [5, 10].includes(entry.type) ? 4 : TYPE_SIZES[entry.type]!;
  if (!tiff.littleEndian && unit > 1) {
    for (let at = 0; at < value.length; at += unit) value.subarray(at, at + unit).reverse();
  }
  return { tag: entry.tag, type: entry.type, value };
}

/** A little-endian TIFF structure of one directory and its sub-directories. */
export function writeTiff(fields: readonly Field[], subs: readonly SubDirectory[]): Uint8Array {
  const header = Uint8Array.of(0x49, 0x49, 42, 0, 8, 0, 0, 0);
  const links: Field[] = subs.map(({ tag }) => ({ tag, type: 4, value: new Uint8Array(4) }));
  const own = directorySize([...fields, ...links]);
  let at = header.length + own;
  const bodies = subs.map((sub, i) => {
    new DataView(links[i]!.value.buffer).setUint32(0, at, true);
    const body = writeDirectory(sub.fields, at, 0);
    at += body.length;
    return body;
  });
  return concat(header, writeDirectory([...fields, ...links], header.length, 0), ...bodies);
}

function directorySize(fields: readonly Field[]): number {
  const outside = fields.reduce(
    (sum, { value }) => sum + (value.length > 4 ? value.length + (value.length % 2) : 0),
    0,
  );
  return 6 + 12 * fields.length + outside;
}

/** One little-endian directory that will stand at `at`, its long values right behind it. */
export function writeDirectory(fields: readonly Field[], at: number, next: number): Uint8Array {
  const sorted = [...fields].sort((a, b) => a.tag - b.tag);
  const bytes = new Uint8Array(directorySize(sorted));
  const data = new DataView(bytes.buffer);
  data.setUint16(0, sorted.length, true);
  let outside = 6 + 12 * sorted.length;
  sorted.forEach(({ tag, type, value }, i) => {
    const entry = 2 + 12 * i;
    data.setUint16(entry, tag, true);
    data.setUint16(entry + 2, type, true);
    data.setUint32(entry + 4, value.length / TYPE_SIZES[type]!, true);
    if (value.length <= 4) {
      bytes.set(value, entry + 8);
    } else {
      data.setUint32(entry + 8, at + outside, true);
      bytes.set(value, outside);
      outside += value.length + (value.length % 2);
    }
  });
  data.setUint32(2 + 12 * sorted.length, next, true);
  return bytes;
}
