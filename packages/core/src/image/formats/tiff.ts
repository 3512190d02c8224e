import type { Header, Metadata } from '../codec.ts';
import { exifFromDirectory } from '../metadata/exif.ts';
import { corrupt, latin1, unsupported } from './bytes.ts';
import type { Format } from './format.ts';
import { type Directory, openTiff, type Tiff } from './ifd.ts';

const TAG = {
  subfile: 254,
  width: 256,
  height: 257,
  bits: 258,
  compression: 259,
  photometric: 262,
  make: 271,
  subDirectories: 330,
  dngVersion: 50706,
  stripOffsets: 273,
  orientation: 274,
  stripCounts: 279,
  xResolution: 282,
  resolutionUnit: 296,
  tileOffsets: 324,
  tileCounts: 325,
  extraSamples: 338,
  sampleFormat: 339,
  xmp: 700,
  iptc: 33723,
  icc: 34675,
  provenance: 52545,
} as const;

/** More pages than this are not counted, nor are pages of directories that have more entries than this together. */
const MOST_PAGES = 10_000;
const MOST_ENTRIES = 100_000;
/** More strips or tiles than this are not looked at; 50 megapixels in tiles of 16², a plane each, are fewer. */
const MOST_PARTS = 1_000_000;

function first(tiff: Tiff, directory: Directory, tag: number): number | undefined {
  return tiff.numbers(directory.entries.get(tag), 1)[0];
}

/** Compressions that libtiff has no decoder for here, by their names. */
const UNREAD: Readonly<Record<number, string>> = {
  34712: 'JPEG 2000',
  34887: 'LERC',
  34925: 'LZMA',
  50000: 'ZSTD',
  50001: 'WebP',
  50002: 'JPEG XL',
  52546: 'JPEG XL',
};

function checkCompression(compression: number): void {
  const name = UNREAD[compression];
  if (name)
    throw unsupported(`This TIFF is compressed with ${name}, which is not decoded here; save it with LZW or Deflate.`);
}

/** Colour filter array and linear raw (TIFF/EP, DNG 1.7). */
const RAW_PHOTOMETRICS = [32803, 34892];
/** More sub-directories than this are not looked at. */
const MOST_SUBS = 16;

/**
 * What kind of raw file this is, if it is one: their first directory is often a small preview, which must not pass for the
 * photo. DNG says so itself; others hold a colour filter array, or hide full pictures below a reduced one.
 */
function rawOf(tiff: Tiff, directory: Directory): string | undefined {
  if (directory.entries.has(TAG.dngVersion)) return 'a raw file (DNG)';
  const subs = tiff.numbers(directory.entries.get(TAG.subDirectories), MOST_SUBS).flatMap((at) => {
    try {
      return [tiff.directory(at)];
    } catch {
      return [];
    }
  });
  const raw = [directory, ...subs].some((one) => RAW_PHOTOMETRICS.includes(first(tiff, one, TAG.photometric) ?? 0));
  const reduced = ((first(tiff, directory, TAG.subfile) ?? 0) & 1) === 1;
  if (!raw && !(reduced && subs.length > 0)) return undefined;
  const make = directory.entries.get(TAG.make);
  const text =
    make?.type === 2
      ? latin1(tiff.value(make))
          .replace(/[^\x20-\x7e]/g, '')
          .trim()
          .slice(0, 40)
      : '';
  return text ? `a raw file of a camera (${text})` : 'a raw file of a camera';
}

function header(bytes: Uint8Array): Header {
  const tiff = openTiff(bytes);
  const directory = tiff.directory(tiff.first);
  const camera = rawOf(tiff, directory);
  if (camera) throw unsupported(`This is ${camera}; develop it to JPEG or TIFF first.`);
  const width = first(tiff, directory, TAG.width) ?? 0;
  const height = first(tiff, directory, TAG.height) ?? 0;
  if (width === 0 || height === 0) throw corrupt('TIFF', `its sides are ${width} × ${height}`);
  const bits = Math.max(1, ...tiff.numbers(directory.entries.get(TAG.bits)));
  const sampleFormat = first(tiff, directory, TAG.sampleFormat) ?? 1;
  if (sampleFormat !== 1 || bits > 16) {
    throw unsupported(`This TIFF has ${bits}-bit samples of a kind that is not decoded; save it with 8 or 16 bits.`);
  }
  const photometric = first(tiff, directory, TAG.photometric);
  const compression = first(tiff, directory, TAG.compression) ?? 1;
  checkCompression(compression);
  const tag = first(tiff, directory, TAG.orientation) ?? 1;
  const orientation = tag >= 1 && tag <= 8 ? tag : 1;
  const swapped = orientation > 4;
  return {
    format: 'tiff',
    width: swapped ? height : width,
    height: swapped ? width : height,
    bitDepth: bits > 8 ? 16 : 8,
    bitsPerSample: Math.max(8, bits),
    // 0 is grey with white as 0.
    grey: photometric === 0 || photometric === 1,
    lossless: compression !== 6 && compression !== 7,
    // 1 is premultiplied, 2 straight alpha; 0 means samples of no known meaning.
    hasAlpha: tiff.numbers(directory.entries.get(TAG.extraSamples)).some((kind) => kind === 1 || kind === 2),
    frames: countPages(tiff),
    orientation,
  };
}

/**
 * Full-size pages: thumbnails (reduced resolution) and masks are none. A chain that bites its tail ends there. Directories
 * may overlap, so that a small file can hold thousands of long ones.
 */
function countPages(tiff: Tiff): number {
  const seen = new Set<number>();
  let [pages, entries] = [0, 0];
  for (let at = tiff.first; at !== 0 && !seen.has(at) && seen.size < MOST_PAGES && entries < MOST_ENTRIES; ) {
    seen.add(at);
    // Pages past the end are the business of `complete`, not of counting.
    if (at + 2 > tiff.view.length) break;
    const directory = tiff.directory(at);
    entries += directory.length;
    if (((first(tiff, directory, TAG.subfile) ?? 0) & 5) === 0) pages++;
    at = directory.next;
  }
  return Math.max(1, pages);
}

function complete(bytes: Uint8Array): boolean {
  const tiff = openTiff(bytes);
  const { entries } = tiff.directory(tiff.first);
  const whole = (offsets: number, counts: number) => {
    const starts = tiff.numbers(entries.get(offsets), MOST_PARTS);
    const sizes = tiff.numbers(entries.get(counts), starts.length);
    return starts.length > 0 && starts.every((start, i) => start + (sizes[i] ?? 1) <= bytes.length);
  };
  return whole(TAG.stripOffsets, TAG.stripCounts) || whole(TAG.tileOffsets, TAG.tileCounts);
}

function metadata(bytes: Uint8Array): Metadata {
  const tiff = openTiff(bytes);
  const directory = tiff.directory(tiff.first);
  const found: { -readonly [K in keyof Metadata]: Metadata[K] } = {};
  for (const key of ['xmp', 'iptc', 'icc'] as const) {
    const entry = directory.entries.get(TAG[key]);
    if (entry) found[key] = tiff.value(entry).slice();
  }
  if (directory.entries.has(TAG.provenance)) found.provenance = true;
  const exif = exifFromDirectory(tiff, directory);
  if (exif) found.exif = exif;
  const resolution = directory.entries.get(TAG.xResolution);
  const unit = first(tiff, directory, TAG.resolutionUnit) ?? 2;
  if (resolution?.type === 5 && unit > 1) {
    const [top, bottom] = [0, 4].map((at) => tiff.view.u32(resolution.valueAt + at, tiff.littleEndian));
    const density = (top! / bottom!) * (unit === 3 ? 2.54 : 1);
    if (Number.isFinite(density) && density > 0) found.density = density;
  }
  return found;
}

export const tiff: Format = { header, complete, metadata };
