import { ElfinError } from '../../base/errors.ts';
import type { ImageFormat } from '../codec.ts';
import { ascii, latin1, startsWith, truncated, unsupported } from './bytes.ts';

/** Formats as people write them. */
export const FORMAT_NAMES: Readonly<Record<ImageFormat, string>> = {
  jpeg: 'JPEG',
  png: 'PNG',
  webp: 'WebP',
  avif: 'AVIF',
  tiff: 'TIFF',
  gif: 'GIF',
  heif: 'HEIF',
  bmp: 'BMP',
};

const READS = 'elfin reads JPEG, PNG, WebP, AVIF, TIFF, GIF, HEIF and BMP';

const MAGIC: readonly (readonly [ImageFormat, Uint8Array])[] = [
  ['jpeg', Uint8Array.of(0xff, 0xd8, 0xff)],
  ['png', Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)],
  ['bmp', ascii('BM')],
  ['gif', ascii('GIF87a')],
  ['gif', ascii('GIF89a')],
  ['tiff', ascii('II*\0')],
  ['tiff', ascii('MM\0*')],
  // BigTIFF
  ['tiff', ascii('II+\0')],
  ['tiff', ascii('MM\0+')],
];

/** What other files are, so that the refusal can say so. */
const OTHERS: readonly (readonly [string, string])[] = [
  ['a PDF', '%PDF'],
  ['a ZIP archive', 'PK\x03\x04'],
  ['a Photoshop file', '8BPS'],
  ['a JPEG XL', '\xff\x0a'],
  ['a JPEG XL', '\0\0\0\x0cJXL '],
  ['a JPEG 2000', '\0\0\0\x0cjP  '],
  ['an icon', '\0\0\x01\0'],
  ['an OpenEXR', 'v/1\x01'],
  ['gzip data (SVGZ is not decoded)', '\x1f\x8b'],
];

/** Raw files that are no TIFF by their first bytes, or say in them that they are more. */
const RAW: readonly (readonly [string, string, number])[] = [
  ['Canon CR2', 'CR\x02', 8],
  ['Olympus ORF', 'IIRO', 0],
  ['Olympus ORF', 'IIRS', 0],
  ['Olympus ORF', 'MMOR', 0],
  ['Panasonic RW2', 'IIU\0', 0],
  ['Fujifilm RAF', 'FUJIFILMCCD-RAW', 0],
  ['Sigma X3F', 'FOVb', 0],
  ['Minolta MRW', '\0MRM', 0],
  ['Canon CRW', 'HEAPCCDR', 6],
];

const AVIF_BRANDS = ['avif', 'avis'];
const HEIF_BRANDS = ['heic', 'heix', 'heim', 'heis', 'hevc', 'hevx', 'mif1', 'msf1'];

/**
 * The format by content; names and declared types are never asked. Throws IMAGE_EMPTY for no bytes, IMAGE_TRUNCATED for
 * the beginning of a signature, IMAGE_UNSUPPORTED for everything else, SVG (never decoded: it may hold scripts and
 * references) by name.
 */
export function sniffFormat(bytes: Uint8Array): ImageFormat {
  if (bytes.length === 0) {
    throw new ElfinError('IMAGE_EMPTY', 'The image has 0 bytes; check where it was read from.');
  }
  for (const [name, magic, at] of RAW) {
    if (startsWith(bytes, ascii(magic), at) && !(at === 8 && !isTiff(bytes))) throw raw(name);
  }
  for (const [format, magic] of MAGIC) {
    if (startsWith(bytes, magic)) return format;
  }
  if (startsWith(bytes, ascii('RIFF')) && startsWith(bytes, ascii('WEBP'), 8)) return 'webp';
  if (startsWith(bytes, ascii('ftyp'), 4)) return brand(bytes);
  if (MAGIC.some(([, magic]) => bytes.length < magic.length && startsWith(magic, bytes))) {
    throw truncated('image', bytes.length);
  }
  for (const [name, magic] of OTHERS) {
    if (startsWith(bytes, ascii(magic))) throw unsupported(`This is ${name}; ${READS}.`);
  }
  throw unsupported(markup(bytes) ?? `This is no image format that elfin knows; ${READS}.`);
}

function isTiff(bytes: Uint8Array): boolean {
  return startsWith(bytes, ascii('II*\0')) || startsWith(bytes, ascii('MM\0*'));
}

function raw(name: string): ElfinError {
  return unsupported(`This is a raw file of a camera (${name}); develop it to JPEG or TIFF first.`);
}

function brand(bytes: Uint8Array): ImageFormat {
  const size = Math.min(new DataView(bytes.buffer, bytes.byteOffset).getUint32(0), bytes.length, 512);
  const brands = [];
  // Major brand at 8, its version at 12, compatible brands from 16 on.
  for (let at = 8; at + 4 <= size; at += at === 8 ? 8 : 4) brands.push(latin1(bytes.subarray(at, at + 4)));
  if (brands.length === 0) throw truncated('AVIF or HEIF', bytes.length);
  if (brands.some((name) => AVIF_BRANDS.includes(name))) return 'avif';
  if (brands.some((name) => HEIF_BRANDS.includes(name))) return 'heif';
  if (brands[0] === 'crx ') throw raw('Canon CR3');
  throw unsupported(`This is a video or other media file ("${brands[0]!.replace(/[^\w ]/g, '?')}"); ${READS}.`);
}

function markup(bytes: Uint8Array): string | undefined {
  // UTF-16 markup shows as letters with zeros between; dropping them is enough to recognise it.
  const text = latin1(bytes.subarray(0, 4096)).replaceAll('\0', '').toLowerCase();
  if (/<svg[\s>:]|<!doctype svg|<\w+:svg[\s>]/.test(text)) {
    return `This is SVG, which is not decoded since it may hold scripts; render it to PNG first. ${READS}.`;
  }
  if (/^[^<]{0,8}<(!doctype|html|head|body|\?xml|script)/.test(text)) {
    return `This is HTML or XML text, perhaps an error page saved as an image; ${READS}.`;
  }
  return undefined;
}
