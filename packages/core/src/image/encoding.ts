import { ElfinError } from '../base/errors.ts';
import { type Codec, DEFAULT_QUALITY, type EncodeOptions, type Metadata, type OutputFormat } from './codec.ts';
import { FORMAT_NAMES } from './formats/sniff.ts';
import { embedMetadata } from './metadata/embed.ts';
import { applyPolicy } from './metadata/policy.ts';
import { checkPixels, flattenOnWhite, type PixelImage, toDepth } from './pixels.ts';

/** Most pixels a side that each container or its encoder can hold. */
const MOST_SIDE: Readonly<Record<OutputFormat, number>> = {
  jpeg: 65_500,
  webp: 16_383,
  avif: 16_384,
  png: 1_000_000,
  tiff: 1_000_000,
};

/** Formats that hold 16 bits a sample; the others are written with 8. */
const DEEP: readonly OutputFormat[] = ['png', 'tiff'];

/** Checks what every codec's `encode` is asked for. Throws OPTION_INVALID and IMAGE_CORRUPT. */
export function checkEncode(
  codec: Pick<Codec, 'name' | 'formats'>,
  size: { readonly width: number; readonly height: number },
  { format, quality = DEFAULT_QUALITY[format] }: EncodeOptions,
): { quality: number } {
  if (!codec.formats.includes(format)) {
    throw new ElfinError(
      'OPTION_INVALID',
      `The ${codec.name} codec does not write ${String(format)}; it writes ${codec.formats.join(', ')}.`,
    );
  }
  if (!(quality >= 1 && quality <= 100)) {
    throw new ElfinError('OPTION_INVALID', `Quality is a number from 1 to 100, not ${String(quality)}.`);
  }
  const most = MOST_SIDE[format];
  if (size.width > most || size.height > most) {
    throw new ElfinError(
      'OPTION_INVALID',
      `${FORMAT_NAMES[format]} holds at most ${most} pixels a side, not ${size.width} × ${size.height}; choose PNG or TIFF.`,
    );
  }
  return { quality };
}

/** Pixels as `format` can hold them: 8 bits where it has no more, transparency over white where it has none. */
export function fitToFormat(image: PixelImage, format: OutputFormat): PixelImage {
  const checked = checkPixels(image);
  const depth = DEEP.includes(format) ? checked : toDepth(checked, 8);
  return format === 'jpeg' ? flattenOnWhite(depth) : depth;
}

/** Encoded bytes with what the policy lets through of the source's metadata, and the profile if it was kept. */
export function withMetadata(bytes: Uint8Array, options: EncodeOptions): Uint8Array {
  const { format, metadata, policy = 'none', icc } = options;
  const chosen: Metadata = {
    ...applyPolicy(metadata, policy),
    ...(icc === 'keep' && metadata?.icc && { icc: metadata.icc }),
  };
  return embedMetadata(bytes, format, chosen);
}

/** Four letters of an ICC profile's colour space, e.g. `RGB `, `CMYK`, `GRAY`. */
export function profileSpace(icc: Uint8Array | undefined): string | undefined {
  return icc && icc.length > 128 ? String.fromCharCode(...icc.subarray(16, 20)) : undefined;
}
