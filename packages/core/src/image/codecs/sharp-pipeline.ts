import sharp, { type Sharp, type SharpOptions } from 'sharp';
import { ElfinError, isElfinError } from '../../base/errors.ts';
import { admitImage } from '../admit.ts';
import {
  type Codec,
  DEFAULT_LIMITS,
  type DecodeOptions,
  type Header,
  type ImageFormat,
  type Metadata,
  type OutputFormat,
} from '../codec.ts';
import { hasTables } from '../colour/icc.ts';
import { corrupt, truncated } from '../formats/bytes.ts';
import { metadataBy } from '../formats/format.ts';
import { FORMAT_NAMES } from '../formats/sniff.ts';
import { notUnderstood, spaceOf, untagged } from '../picture.ts';
import type { Channels } from '../pixels.ts';
import { formatOf } from '../probe.ts';
import { orientedSize } from '../transform.ts';
import { type Warning, warning } from '../warnings.ts';
import { decodeUnread } from './unread.ts';

interface Shape {
  readonly width: number;
  readonly height: number;
  readonly channels: Channels;
  readonly bitDepth: 8 | 16;
}

/** libvips' names for what we sniffed: a loader other than the expected one must never see the bytes. */
const LOADERS: Readonly<Record<ImageFormat, readonly string[]>> = {
  jpeg: ['jpeg', 'uhdr'],
  png: ['png'],
  webp: ['webp'],
  avif: ['heif'],
  heif: ['heif'],
  tiff: ['tiff'],
  gif: ['gif'],
  bmp: [],
};

/** What the codec over sharp is called in result keys, and what it writes. */
export const SHARP = {
  name: 'sharp',
  version: `${sharp.versions.sharp ?? 'custom'}+vips.${sharp.versions.vips}`,
  formats: ['jpeg', 'png', 'webp', 'avif', 'tiff'],
} as const satisfies Pick<Codec, 'name' | 'version' | 'formats'>;

export interface Opened {
  readonly header: Header;
  /** What the pixels' numbers mean is told as it is after decoding. */
  readonly metadata: Metadata;
  readonly warnings: readonly Warning[];
  /** Sides as stored, before `header.orientation` is applied; `turned` when the loader applied it itself. */
  readonly stored: { readonly width: number; readonly height: number; readonly turned: boolean };
  /** Yields RGB or RGBA at the header's depth, grey spread over the channels; where it ends (memory, file) is the caller's. */
  pipeline(failOn: 'warning' | 'error'): Sharp;
}

/** libvips' names of spaces whose numbers are kept. */
const OWN_SPACES = ['srgb', 'rgb', 'rgb16', 'b-w', 'grey16'];

/**
 * Admits bytes and sets up their decoding: numbers as they are, whatever the profile says; palette to RGB; alpha present exactly
 * when the header says so. CMYK, Lab and their like are converted to sRGB through their profile, and so are profiles made of tables
 * where sRGB is asked for. Orientation is left to the caller, so that decoding can run top to bottom.
 */
export async function openImage(given: Uint8Array, options: DecodeOptions): Promise<Opened> {
  const { header, format, bytes, warnings } = await admitImage(given, formatOf, options);
  const name = FORMAT_NAMES[header.format];
  const unread = header.format === 'bmp' || (header.format === 'heif' && !readsHevc());
  if (unread) return openPlain(bytes, header, metadataBy(format, bytes), warnings);
  const source = metadataBy(format, bytes);
  const input: SharpOptions = {
    limitInputPixels: options.limits?.pixels ?? DEFAULT_LIMITS.pixels,
    autoOrient: false,
    page: 0,
    pages: 1,
  };
  const found = await sharp(bytes, input)
    .metadata()
    .catch((error: unknown) => {
      throw sharpError(error, header, bytes.length);
    });
  if (!LOADERS[header.format].includes(found.format)) throw corrupt(name, 'its content contradicts itself');
  const size = orientedSize(header.width, header.height, header.orientation);
  const upright = found.width === header.width && found.height === header.height;
  // libheif turns pictures itself, and says the sides after turning.
  const turned = header.format === 'avif' || header.format === 'heif';
  if (turned ? !upright : found.width !== size.width || found.height !== size.height) {
    throw corrupt(name, `its header says ${header.width} × ${header.height}, its content something else`);
  }
  const colour = colourOf(source, header, found.space, options);
  return {
    header,
    metadata: colour.metadata,
    warnings: [...warnings, ...colour.warnings],
    stored: turned ? { width: header.width, height: header.height, turned } : { ...size, turned },
    pipeline(failOn) {
      const image = sharp(bytes, { ...input, ignoreIcc: !colour.convert, failOn });
      header.hasAlpha ? image.ensureAlpha() : image.removeAlpha();
      if (header.bitDepth === 8) return image.toColourspace('srgb');
      // At 16 bits sharp converts embedded profiles to P3 for processing; this takes them on to sRGB.
      if (found.icc && colour.convert && found.space === 'rgb16') image.withIccProfile('srgb', { attach: false });
      return image.toColourspace('rgb16');
    },
  };
}

/** As {@link openImage}, for what sharp does not read: decoded at once, upright, to 8 bits. */
async function openPlain(
  bytes: Uint8Array,
  header: Header,
  metadata: Metadata,
  warnings: readonly Warning[],
): Promise<Opened> {
  const { width, height, data } = await decodeUnread(bytes, header);
  const name = FORMAT_NAMES[header.format];
  const shallow =
    header.bitsPerSample > 8
      ? [warning('depth-reduced', `The ${name} has ${header.bitsPerSample} bits a sample, of which 8 were read.`)]
      : [];
  const odd = spaceOf(metadata, header.grey) ? [] : [notUnderstood(name)];
  return {
    header: { ...header, bitDepth: 8, bitsPerSample: 8 },
    metadata,
    warnings: [...warnings, ...shallow, ...odd],
    stored: { width, height, turned: true },
    pipeline() {
      const image = sharp(data, { raw: { width, height, channels: 4 }, limitInputPixels: false });
      return (header.hasAlpha ? image : image.removeAlpha()).toColourspace('srgb');
    },
  };
}

/** Whether libvips has to convert the colours, and what is true of them afterwards. */
function colourOf(metadata: Metadata, header: Header, space: string, { icc }: DecodeOptions) {
  const name = FORMAT_NAMES[header.format];
  if (!OWN_SPACES.includes(space)) {
    const text = `This ${name} is ${space.toUpperCase()}; its colours were converted to sRGB.`;
    return { convert: true, metadata: untagged(metadata), warnings: [warning('colours-converted', text)] };
  }
  if (spaceOf(metadata, header.grey)) return { convert: false, metadata, warnings: [] };
  if (icc === 'srgb' && hasTables(metadata.icc)) return { convert: true, metadata: untagged(metadata), warnings: [] };
  return { convert: false, metadata, warnings: [notUnderstood(name)] };
}

/**
 * Runs `decode` strictly; once more with libvips' warnings let pass when all it warned of were stray bytes before the end marker,
 * which many cameras write and which cost no pixel.
 */
export async function decodeStrictly<T>(
  opened: Opened,
  length: number,
  decode: (pipeline: Sharp) => Promise<T>,
): Promise<T> {
  try {
    return await decode(opened.pipeline('warning'));
  } catch (error) {
    // Where it goes failed, not what it is made of.
    if (isElfinError(error)) throw error;
    const message = error instanceof Error ? error.message : '';
    if (!/extraneous bytes/.test(message) || /premature|ended/.test(message))
      throw sharpError(error, opened.header, length);
  }
  return decode(opened.pipeline('error')).catch((error: unknown) => {
    throw isElfinError(error) ? error : sharpError(error, opened.header, length);
  });
}

/**
 * Above this many pixels JPEG's Huffman tables are the standard's: fitted ones need all coefficients in memory, for 50
 * megapixels 786 MB in all instead of 229 MB, and save 4 % of the file.
 */
const MOST_FITTED = 16_000_000;

export interface Encoding {
  readonly format: OutputFormat;
  readonly quality: number;
  readonly lossless?: boolean | undefined;
}

/** Adds the encoder. Pixels come in as the format takes them (`fitToFormat`), but for their depth. */
export function encodeWith(pipeline: Sharp, shape: Shape, { format, quality, lossless = false }: Encoding): Sharp {
  const { width, height, channels, bitDepth } = shape;
  const deep = bitDepth === 16 && ['png', 'tiff', 'avif'].includes(format);
  // Without a word on it sharp makes RGB of grey.
  const space = channels < 3 ? (deep ? 'grey16' : 'b-w') : deep ? 'rgb16' : 'srgb';
  const image = pipeline.toColourspace(space);
  switch (format) {
    case 'jpeg':
      return image.jpeg({
        quality,
        chromaSubsampling: quality >= 90 ? '4:4:4' : '4:2:0',
        optimiseCoding: width * height <= MOST_FITTED,
      });
    case 'png':
      return image.png({ compressionLevel: 6, palette: false });
    case 'webp':
      return image.webp(lossless ? { lossless, exact: true, quality: 75 } : { quality });
    case 'avif':
      return image.avif({ quality, lossless, bitdepth: deep ? 10 : 8 });
    case 'tiff':
      return image.tiff({ compression: 'deflate', predictor: 'horizontal' });
  }
}

/** Options and pixels are checked before, so that what is left to fail in an encoder is memory. */
export function encodeError(cause: unknown, format: OutputFormat): ElfinError {
  return new ElfinError(
    'OUT_OF_MEMORY',
    `The ${FORMAT_NAMES[format]} encoder failed, most likely for want of memory.`,
    { cause },
  );
}

/** Prebuilt sharp leaves HEVC out for its patents; a build against a system's libvips may have it. */
function readsHevc(): boolean {
  return sharp.format.heif.input.fileSuffix?.includes('.heic') ?? false;
}

/** libvips' words as one of our codes. Its messages are for developers, hence only kept as the cause. */
function sharpError(error: unknown, { format }: Header, length: number): ElfinError {
  const message = error instanceof Error ? error.message : String(error);
  const name = FORMAT_NAMES[format];
  if (/memory/i.test(message)) {
    return new ElfinError('OUT_OF_MEMORY', `Not enough memory to decode the ${name} image.`, { cause: error });
  }
  if (/pixel limit/.test(message)) return corrupt(name, 'its content is larger than its header says');
  if (/unsupported (feature|codec|image)|not implemented|no support/i.test(message)) {
    return new ElfinError('IMAGE_UNSUPPORTED', `This kind of ${name} is not decoded here; convert it to JPEG or PNG.`, {
      cause: error,
    });
  }
  const early = /premature|truncat|ended|end of (stream|file|data|input)|unexpected end|not enough|read (gave|error)/i;
  const {
    code,
    message: line,
    data,
  } = early.test(message) ? truncated(name, length) : corrupt(name, 'its pixels cannot be decoded');
  return new ElfinError(code, line, { cause: error, data });
}
