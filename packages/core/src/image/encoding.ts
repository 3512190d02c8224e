import { ElfinError } from '../base/errors.ts';
import {
  type Codec,
  DEFAULT_QUALITY,
  type EncodeOptions,
  type Header,
  type Metadata,
  type OutputFormat,
} from './codec.ts';
import { writeProfile } from './colour/icc.ts';
import { isSrgb } from './colour/rendition.ts';
import { isHdr, isPlain, spaceOfCicp, spaceOfGamma } from './colour/space.ts';
import { FORMAT_NAMES } from './formats/sniff.ts';
import { embedMetadata, unkept } from './metadata/embed.ts';
import { applyPolicy } from './metadata/policy.ts';
import { checkPixels, flattenOnWhite, type PixelImage, toDepth } from './pixels.ts';
import { type Warning, warning } from './warnings.ts';

/** Most pixels a side that each container or its encoder can hold. */
const MOST_SIDE: Readonly<Record<OutputFormat, number>> = {
  jpeg: 65_500,
  webp: 16_383,
  avif: 16_384,
  png: 1_000_000,
  tiff: 1_000_000,
};

/** Most bits a sample that each format is written with. */
const MOST_BITS: Readonly<Record<OutputFormat, number>> = { jpeg: 8, webp: 8, avif: 10, png: 16, tiff: 16 };

/** Formats that say H.273's code points, and so HDR. */
const CICP: readonly OutputFormat[] = ['png', 'avif'];

/** Formats that hold transparency. */
const ALPHA: readonly OutputFormat[] = ['png', 'tiff', 'webp', 'avif'];

/** Checks what every codec's `encode` is asked for. Throws OPTION_INVALID and IMAGE_CORRUPT. */
export function checkEncode(
  codec: Pick<Codec, 'name' | 'formats'>,
  size: { readonly width: number; readonly height: number },
  { format, quality = DEFAULT_QUALITY[format], metadata }: EncodeOptions,
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
  if (isHdr(metadata?.cicp) && !CICP.includes(format)) {
    const name = spaceOfCicp(metadata!.cicp!)?.name ?? 'HDR';
    throw new ElfinError(
      'OPTION_INVALID',
      `${FORMAT_NAMES[format]} has no place for HDR (${name}); choose PNG or AVIF, or ask for sRGB.`,
    );
  }
  return { quality };
}

/** Pixels as `format` can hold them: 8 bits where it has no more, transparency over white where it has none. */
export function fitToFormat(image: PixelImage, format: OutputFormat): PixelImage {
  const checked = checkPixels(image);
  const depth = MOST_BITS[format] > 8 ? checked : toDepth(checked, 8);
  return ALPHA.includes(format) ? depth : flattenOnWhite(depth);
}

/** What of a source will not be in a file of `format`, told beforehand. */
export function lossesOf(
  header: Header,
  metadata: Metadata,
  { format, policy = 'none' }: Pick<EncodeOptions, 'format' | 'policy'>,
): Warning[] {
  const name = FORMAT_NAMES[format];
  const most = MOST_BITS[format];
  const found: Warning[] = [];
  if (header.bitsPerSample > most) {
    const text = `The source has ${header.bitsPerSample} bits a sample, ${name} is written with ${most}.`;
    found.push(warning('depth-reduced', text));
  }
  if (header.hasAlpha && !ALPHA.includes(format)) {
    found.push(warning('transparency-lost', `${name} has no transparency: the picture was laid over white.`));
  }
  if (header.frames > 1) {
    found.push(warning('frames-dropped', `The first of ${header.frames} frames or pages was taken.`));
  }
  if (metadata.trailer) {
    const text =
      'A video, a gain map or another picture behind the photo was left out, with the metadata that speak of it.';
    found.push(warning('trailer-dropped', text));
  }
  if (policy === 'keep' && metadata.provenance) {
    const text = 'The signed history (C2PA) was left out: it is not true of restored pixels.';
    found.push(warning('provenance-dropped', text));
  }
  const lost = policy === 'keep' ? unkept(metadata, format) : [];
  if (lost.length > 0)
    found.push(warning('metadata-dropped', `${name} cannot hold this file's ${lost.join(' and ')}.`));
  return found;
}

/** Encoded bytes with what the policy lets through of the source's metadata, and what the pixels' numbers mean. */
export function withMetadata(bytes: Uint8Array, options: EncodeOptions, grey: boolean): Uint8Array {
  const { format, metadata, policy = 'none' } = options;
  return embedMetadata(bytes, format, {
    ...applyPolicy(metadata, policy),
    ...colourTags(metadata ?? {}, format, grey),
  });
}

/** What says the colours in a file of this format: as the source said it where that can be, else by a profile made for it. */
function colourTags({ icc, cicp, gamma, chromaticities }: Metadata, format: OutputFormat, grey: boolean): Metadata {
  const own = CICP.includes(format) ? cicp : undefined;
  if (format === 'png') return { icc, cicp: own, gamma, chromaticities };
  if (icc) return { icc, cicp: own };
  const space = cicp ? spaceOfCicp(cicp, grey) : spaceOfGamma(gamma, chromaticities, grey);
  const tagged = (cicp && !isPlain(cicp)) || gamma !== undefined || chromaticities !== undefined;
  if (own || !tagged || !space) return { cicp: own };
  return isSrgb(space) ? {} : { icc: writeProfile(space) };
}
