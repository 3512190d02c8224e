import { ElfinError, isElfinError } from '../base/errors.ts';
import { DEFAULT_LIMITS, type DecodeOptions, type Header, type Limits } from './codec.ts';
import { corrupt, truncated } from './formats/bytes.ts';
import type { Format } from './formats/format.ts';
import { FORMAT_NAMES } from './formats/sniff.ts';
import { checkBytes } from './limits.ts';
import { type Warning, warning } from './warnings.ts';

/** A file that may be decoded. */
export interface Admitted {
  readonly header: Header;
  readonly format: Format;
  readonly warnings: readonly Warning[];
  /** What to decode: the file, or the file without damage that was forgiven. */
  readonly bytes: Uint8Array;
}

/**
 * What stands between bytes and every decoder: byte cap, format by content, pixel cap from the header, animation,
 * completeness. Only files that pass reach a decoder, so bombs, SVG and exotic formats never do. Errors: IMAGE_EMPTY,
 * IMAGE_TOO_MANY_BYTES, IMAGE_UNSUPPORTED, IMAGE_CORRUPT, IMAGE_TOO_MANY_PIXELS, IMAGE_ANIMATED, IMAGE_TRUNCATED.
 * @param formatOf gives the reader of the file's format: `formatOf` of probe.ts, or one that loads it first
 */
export async function admitImage(
  given: Uint8Array,
  formatOf: (bytes: Uint8Array) => Format | Promise<Format>,
  options: Pick<DecodeOptions, 'limits' | 'animated' | 'strict'> = {},
): Promise<Admitted> {
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  checkBytes(given.length, limits.bytes);
  const format = await formatOf(given);
  const { bytes, flaws } = format.mend?.(given) ?? { bytes: given, flaws: [] };
  const header = format.header(bytes);
  checkPixels(header, limits);
  if (header.frames > 1 && options.animated !== 'first') {
    throw new ElfinError(
      'IMAGE_ANIMATED',
      `The image has ${header.frames} frames or pages; ask for the first one (animated: 'first') or hand in a still.`,
      { data: { frames: header.frames, format: header.format } },
    );
  }
  if (!wholeEnough(bytes, format)) throw truncated(FORMAT_NAMES[header.format], given.length);
  const name = FORMAT_NAMES[header.format];
  if (flaws.length > 0 && options.strict) throw corrupt(name, `it has ${flaws.join(' and ')} (strict)`);
  const forgiven = `The ${name} has ${flaws.join(' and ')}, which was forgiven.`;
  return { header, format, bytes, warnings: flaws.length > 0 ? [warning('damage-forgiven', forgiven)] : [] };
}

function checkPixels({ width, height }: Header, limits: Limits): void {
  if (width * height <= limits.pixels) return;
  throw new ElfinError(
    'IMAGE_TOO_MANY_PIXELS',
    `The image is ${width} × ${height}, more than the ${limits.pixels} pixels allowed; shrink it or raise limits.pixels.`,
    { data: { width, height, limit: limits.pixels } },
  );
}

function wholeEnough(bytes: Uint8Array, format: Format): boolean {
  try {
    return format.complete(bytes);
  } catch (error) {
    // Running past the end while looking for the end is the very thing asked for.
    if (isElfinError(error) && error.code === 'IMAGE_TRUNCATED') return false;
    throw error;
  }
}
