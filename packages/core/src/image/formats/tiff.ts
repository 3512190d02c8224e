import type { Header, Metadata } from '../codec.ts';
import { exifFromDirectory } from '../metadata/exif.ts';
import { corrupt, unsupported } from './bytes.ts';
import type { Format } from './format.ts';
import { type Directory, openTiff, type Tiff } from './ifd.ts';

const TAG = {
  subfile: 254,
  width: 256,
  height: 257,
  bits: 258,
  compression: 259,
  photometric: 262,
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
} as const;

/** More pages than this are not counted, nor are pages of directories that have more entries than this together. */
const MOST_PAGES = 10_000;
const MOST_ENTRIES = 100_000;
/** More strips or tiles than this are not looked at; 50 megapixels in tiles of 16², a plane each, are fewer. */
const MOST_PARTS = 1_000_000;

function first(tiff: Tiff, directory: Directory, tag: number): number | undefined {
  return tiff.numbers(directory.entries.get(tag), 1)[0];
}

function header(bytes: Uint8Array): Header {
  const tiff = openTiff(bytes);
  const directory = tiff.directory(tiff.first);
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
