import type { Header, ImageFormat } from './codec.ts';
import { bmp } from './formats/bmp.ts';
import type { Format } from './formats/format.ts';
import { gif } from './formats/gif.ts';
import { avif, heif } from './formats/isobmff.ts';
import { jpeg } from './formats/jpeg.ts';
import { png } from './formats/png.ts';
import { sniffFormat } from './formats/sniff.ts';
import { tiff } from './formats/tiff.ts';
import { webp } from './formats/webp.ts';

const FORMATS: Readonly<Record<ImageFormat, Format>> = { jpeg, png, webp, avif, tiff, gif, heif, bmp };

/**
 * Format, sides, depth, alpha, frames and orientation from the bytes alone; no pixel is decoded. The format is decided
 * by content. Works on the first bytes of a file too, if they reach past the header (frames are then a lower bound).
 * Errors: IMAGE_EMPTY, IMAGE_TRUNCATED, IMAGE_CORRUPT, IMAGE_UNSUPPORTED.
 */
export function probeImage(bytes: Uint8Array): Header {
  return formatOf(bytes).header(bytes);
}

/** The reader of a file's format. Errors: those of {@link sniffFormat}. */
export function formatOf(bytes: Uint8Array): Format {
  return FORMATS[sniffFormat(bytes)];
}
