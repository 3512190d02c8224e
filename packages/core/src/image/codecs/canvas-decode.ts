import { ElfinError, throwIfAborted } from '../../errors.ts';
import { admitImage } from '../admit.ts';
import type { Decoded, DecodeOptions, Header, ImageFormat } from '../codec.ts';
import { corrupt, crc32, startsWith, u32be, unsupported } from '../formats/bytes.ts';
import { EXIF_ID, segments } from '../formats/jpeg.ts';
import { chunks as pngChunks } from '../formats/png.ts';
import { FORMAT_NAMES } from '../formats/sniff.ts';
import { chunks as webpChunks } from '../formats/webp.ts';
import { forgetOrientation } from '../metadata/exif.ts';
import { checkPixels, type PixelImage, splitAlpha } from '../pixels.ts';
import { readMetadata } from '../probe.ts';
import { orient } from '../transform.ts';

/** What every current browser decodes. */
const READS: readonly ImageFormat[] = ['jpeg', 'png', 'webp', 'avif', 'gif'];

/** The reading half of the browser's codec (canvas.ts), which is all that the page's worker loads. Errors: those of `Codec.decode`. */
export async function decodeByCanvas(bytes: Uint8Array, options: DecodeOptions = {}): Promise<Decoded> {
  throwIfAborted(options.signal);
  const header = admitImage(bytes, options);
  if (!READS.includes(header.format)) {
    throw unsupported(`${FORMAT_NAMES[header.format]} is not decoded by browsers; convert it to JPEG or PNG first.`);
  }
  const bitmap = await openBitmap(bytes, header, options);
  try {
    throwIfAborted(options.signal);
    const stored = readBitmap(bitmap);
    const image = header.format === 'avif' ? stored : orient(stored, header.orientation);
    if (image.width !== header.width || image.height !== header.height) {
      throw corrupt(FORMAT_NAMES[header.format], 'its content has other sides than its header');
    }
    const pixels = header.hasAlpha ? image : splitAlpha(image).colour;
    return { ...pixels, header, metadata: readMetadata(bytes, header.format) };
  } finally {
    bitmap.close();
  }
}

async function openBitmap(bytes: Uint8Array, header: Header, options: DecodeOptions): Promise<ImageBitmap> {
  if (typeof createImageBitmap !== 'function') throw noCanvas();
  const blob = new Blob([asStored(bytes, header)], { type: `image/${header.format}` });
  try {
    return await createImageBitmap(blob, {
      premultiplyAlpha: 'none',
      colorSpaceConversion: options.icc === 'keep' ? 'none' : 'default',
    });
  } catch (cause) {
    const { code, message, data } = corrupt(FORMAT_NAMES[header.format], 'the browser cannot decode it');
    throw new ElfinError(code, message, { cause, data });
  }
}

/**
 * A copy whose EXIF says orientation 1. Browsers disagree on which formats' EXIF they honour and on what `imageOrientation`
 * means; so none gets to see one. AVIF turns by boxes that all honour and that EXIF does not override.
 */
function asStored(bytes: Uint8Array, { format, orientation }: Header): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(bytes);
  if (orientation === 1 || format === 'avif') return copy;
  if (format === 'jpeg') {
    for (const { marker, body } of segments(copy)) {
      if (marker === 0xe1 && startsWith(body, EXIF_ID)) forgetOrientation(body.subarray(EXIF_ID.length));
    }
  }
  if (format === 'webp') {
    for (const { type, body } of webpChunks(copy)) {
      if (type === 'EXIF') forgetOrientation(startsWith(body, EXIF_ID) ? body.subarray(EXIF_ID.length) : body);
    }
  }
  if (format === 'png') {
    for (const { type, body, end } of pngChunks(copy)) {
      if (type !== 'eXIf') continue;
      forgetOrientation(body);
      copy.set(u32be(crc32(copy.subarray(end - body.length - 8, end - 4))), end - 4);
    }
  }
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
