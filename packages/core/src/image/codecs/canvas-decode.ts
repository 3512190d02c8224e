import { ElfinError, throwIfAborted } from '../../base/errors.ts';
import { loadPart } from '../../base/lazy-import.ts';
import { admitImage } from '../admit.ts';
import type { Decoded, DecodeOptions, Header, ImageFormat } from '../codec.ts';
import { corrupt, unsupported } from '../formats/bytes.ts';
import { type Format, metadataBy } from '../formats/format.ts';
import { FORMAT_NAMES, sniffFormat } from '../formats/sniff.ts';
import { asGrey, checkPixels, type PixelImage, splitAlpha } from '../pixels.ts';
import { orient } from '../transform.ts';

/** The readers, each fetched when a file of its format comes. */
const FORMATS: Readonly<Record<ImageFormat, () => Promise<Format>>> = {
  jpeg: async () => (await import('../formats/jpeg.ts')).jpeg,
  png: async () => (await import('../formats/png.ts')).png,
  webp: async () => (await import('../formats/webp.ts')).webp,
  bmp: async () => (await import('../formats/bmp.ts')).bmp,
  gif: async () => (await import('../formats/gif.ts')).gif,
  tiff: async () => (await import('../formats/tiff.ts')).tiff,
  avif: async () => (await import('../formats/isobmff.ts')).avif,
  heif: async () => (await import('../formats/isobmff.ts')).heif,
};

/** What every current browser decodes; HEIF is what some do. */
const READS: readonly ImageFormat[] = ['jpeg', 'png', 'webp', 'avif', 'gif'];
/** Turned by boxes that all decoders honour and that EXIF does not override. */
const TURNED: readonly ImageFormat[] = ['avif', 'heif'];

/** The reading half of the browser's codec (canvas.ts), which is all that the page's worker loads. Errors: those of `Codec.decode`. */
export async function decodeByCanvas(file: Uint8Array, options: DecodeOptions = {}): Promise<Decoded> {
  throwIfAborted(options.signal);
  const { header, format, bytes, warnings } = await admitImage(
    file,
    (given) => loadPart(FORMATS[sniffFormat(given)]()),
    options,
  );
  if (![...READS, 'heif'].includes(header.format)) {
    throw unsupported(`${FORMAT_NAMES[header.format]} is not decoded by browsers; convert it to JPEG or PNG first.`);
  }
  const bitmap = await openBitmap(asStored(bytes, header, format), header, options);
  try {
    throwIfAborted(options.signal);
    const stored = readBitmap(bitmap);
    const image = TURNED.includes(header.format) ? stored : orient(stored, header.orientation);
    if (image.width !== header.width || image.height !== header.height) {
      throw corrupt(FORMAT_NAMES[header.format], 'its content has other sides than its header');
    }
    const pixels = header.hasAlpha ? image : splitAlpha(image).colour;
    const found = metadataBy(format, bytes);
    const { icc: _, cicp: _c, gamma: _g, chromaticities: _h, ...untagged } = found;
    // A canvas is sRGB: what a page shows, and what stands in its pixels.
    const metadata = options.icc === 'keep' ? found : untagged;
    return { ...(header.grey ? asGrey(pixels) : pixels), header, metadata, warnings };
  } finally {
    bitmap.close();
  }
}

async function openBitmap(
  bytes: Uint8Array<ArrayBuffer>,
  header: Header,
  options: DecodeOptions,
): Promise<ImageBitmap> {
  if (typeof createImageBitmap !== 'function') throw noCanvas();
  const blob = new Blob([bytes], { type: `image/${header.format}` });
  try {
    return await createImageBitmap(blob, {
      premultiplyAlpha: 'none',
      colorSpaceConversion: options.icc === 'keep' ? 'none' : 'default',
    });
  } catch (cause) {
    if (header.format === 'heif') {
      throw unsupported('This browser does not decode HEIF (HEIC); convert it to JPEG or PNG first.');
    }
    const { code, message, data } = corrupt(FORMAT_NAMES[header.format], 'the browser cannot decode it');
    throw new ElfinError(code, message, { cause, data });
  }
}

/**
 * A copy whose EXIF says orientation 1. Browsers disagree on which formats' EXIF they honour and on what `imageOrientation`
 * means; so none gets to see one.
 */
function asStored(bytes: Uint8Array, { orientation }: Header, format: Format): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(bytes);
  if (orientation !== 1) format.forgetOrientation?.(copy);
  return copy;
}

function readBitmap(bitmap: ImageBitmap): PixelImage {
  const { width, height } = bitmap;
  const { context } = openCanvas(width, height);
  context.drawImage(bitmap, 0, 0);
  try {
    return checkPixels(context.getImageData(0, 0, width, height));
  } catch (cause) {
    if (cause instanceof ElfinError) throw cause;
    throw new ElfinError('OUT_OF_MEMORY', `The browser gives no canvas of ${width} × ${height}; shrink the image.`, {
      cause,
    });
  }
}

/** A canvas that is read again. Errors: RUNTIME_UNAVAILABLE, OUT_OF_MEMORY. */
export function openCanvas(width: number, height: number) {
  if (typeof OffscreenCanvas !== 'function') throw noCanvas();
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d', { colorSpace: 'srgb', willReadFrequently: true });
  if (!context)
    throw new ElfinError('OUT_OF_MEMORY', `The browser gives no canvas of ${width} × ${height}; shrink the image.`);
  return { canvas, context };
}

function noCanvas(): ElfinError {
  return new ElfinError('RUNTIME_UNAVAILABLE', 'There is no OffscreenCanvas here; use the jsquash codec instead.');
}
