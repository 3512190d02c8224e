import type { PixelSink, PixelSource, Samples } from '../tiling/pixels.ts';
import type { Decoded, DecodeOptions, Metadata } from './codec.ts';
import { hasTables, spaceOfIcc } from './colour/icc.ts';
import { createRendition, isSrgb, lumaOf, type Rendition } from './colour/rendition.ts';
import { type ColourSpace, SRGB, spaceOfCicp, spaceOfGamma } from './colour/space.ts';
import { unsupported } from './formats/bytes.ts';
import { learnSurroundings, type Stand } from './invisible.ts';
import { asGrey, bitDepth, hasAlpha, joinAlpha, type PixelImage, splitAlpha } from './pixels.ts';
import type { RawSink, RawSource } from './raw.ts';
import { type Warning, warning } from './warnings.ts';

/** A picture as the network sees it, and the way back into its own encoding. */
export interface Picture {
  /** The sRGB rendition: three channels, at the picture's depth. */
  readonly source: PixelSource;
  /** Takes the rendition's pixels restored, and writes the picture's own with what was changed; alpha stays. */
  into(sink: RawSink): PixelSink;
}

/** How a picture is opened. */
export interface PictureOptions {
  /** What {@link spaceOf} found; sRGB where it is missing. */
  readonly space?: ColourSpace | undefined;
  /** Whether the pixels go back into their own encoding (`keep`, the default), or out as the rendition: `srgb`. */
  readonly icc?: DecodeOptions['icc'];
  readonly signal?: AbortSignal | undefined;
}

/** The space that a picture's numbers are in. `undefined` where the tags cannot be understood: then they count as sRGB. */
export function spaceOf(metadata: Metadata, grey: boolean): ColourSpace | undefined {
  const { icc, cicp, gamma, chromaticities } = metadata;
  // As PNG's third edition has it: cICP before iCCP before gAMA and cHRM.
  if (cicp) return spaceOfCicp(cicp, grey);
  if (icc) return spaceOfIcc(icc);
  return gamma !== undefined || chromaticities ? spaceOfGamma(gamma, chromaticities, grey) : SRGB;
}

/** Where {@link spaceOf} finds nothing. */
export function notUnderstood(format: string): Warning {
  return warning(
    'profile-not-understood',
    `The colour profile of this ${format} is none of curves and primaries: it is kept, but the network saw its numbers as sRGB.`,
  );
}

/** The same without what tells its colour space. */
export function untagged({ icc: _, cicp: _c, gamma: _g, chromaticities: _h, ...rest }: Metadata): Metadata {
  return rest;
}

/** A decoded image in the encoding asked for: as it is, or converted to sRGB, its tags gone. Errors: IMAGE_UNSUPPORTED. */
export function inSpace(decoded: Decoded, icc: DecodeOptions['icc'] = 'keep'): Decoded {
  if (icc === 'keep') return decoded;
  const { header, metadata } = decoded;
  const space = spaceOf(metadata, header.grey) ?? SRGB;
  if (hasTables(metadata.icc)) {
    throw unsupported(
      'The colour profile of this image is made of tables, which are not converted here; ask for icc "keep".',
    );
  }
  const usable = space.grey === header.grey ? space : { ...SRGB, grey: header.grey };
  if (isSrgb(usable)) return { ...decoded, metadata: untagged(metadata) };
  const { colour, alpha } = splitAlpha(decoded);
  const shown = createRendition(usable, bitDepth(decoded)).show(colour.data as Samples);
  const rgb: PixelImage = { ...colour, channels: 3, data: shown };
  const image = joinAlpha(header.grey ? asGrey(rgb) : rgb, alpha);
  return { ...decoded, ...image, metadata: untagged(metadata) };
}

/**
 * Opens a picture for the network. Its output is the source plus what the network changed, so a picture that is left alone
 * comes back number for number, in whatever encoding. What is wholly transparent decides nothing, and stays as it is.
 */
export async function openPicture(raw: RawSource, options: PictureOptions = {}): Promise<Picture> {
  const { space = SRGB, icc = 'keep', signal } = options;
  const grey = raw.channels < 3;
  const alpha = hasAlpha(raw);
  // A grey profile on RGB numbers, or the other way round, says nothing.
  const usable = space.grey === grey ? space : { ...SRGB, grey };
  const rendition = !grey && isSrgb(usable) ? undefined : createRendition(usable, raw.bitDepth);
  if (!rendition && !alpha) return { source: raw, into: (sink) => sink };
  const show = (samples: Samples) => showPixels(samples, raw, rendition);
  const stand = alpha ? await learnSurroundings(raw, show, signal) : undefined;
  const carried = (parts: Shown, before: Samples, after: Samples) => {
    if (!rendition) return after;
    if (icc === 'keep') return rendition.carry(parts.colour, before, after);
    return grey ? lumaOf(after) : after;
  };
  const { width, height, bitDepth } = raw;
  const source: PixelSource = {
    width,
    height,
    bitDepth,
    read: async (x, y, w, h, given) => shownWith(show(await raw.read(x, y, w, h, given)), x, y, w, stand),
  };
  return {
    source,
    into: (sink) => ({
      async write(x, y, w, h, after) {
        const own = await raw.read(x, y, w, h);
        const parts = showPixels(own, raw, rendition);
        const before = shownWith(parts, x, y, w, stand);
        const colour = carried(parts, before, after);
        await sink.write(x, y, w, h, alpha ? withAlpha(own, colour, raw.channels) : colour);
      },
    }),
  };
}

interface Shown {
  /** The picture's own samples without alpha. */
  readonly colour: Samples;
  readonly shown: Samples;
  readonly alpha: (i: number) => number;
}

function showPixels(samples: Samples, raw: RawSource, rendition: Rendition | undefined): Shown {
  const { channels } = raw;
  if (!hasAlpha(raw)) return { colour: samples, shown: rendition ? rendition.show(samples) : samples, alpha: () => 1 };
  const own = channels - 1;
  const count = samples.length / channels;
  const colour = samples instanceof Uint16Array ? new Uint16Array(count * own) : new Uint8Array(count * own);
  for (let i = 0, from = 0, to = 0; i < count; i++, from++) {
    for (let c = 0; c < own; c++) colour[to++] = samples[from++]!;
  }
  return {
    colour,
    shown: rendition ? rendition.show(colour) : colour.slice(),
    alpha: (i) => samples[i * channels + own]!,
  };
}

function shownWith({ shown, alpha }: Shown, x: number, y: number, width: number, stand: Stand | undefined): Samples {
  stand?.fill(x, y, width, shown, alpha);
  return shown;
}

/** The source's samples with new colours, except where nobody sees them. */
function withAlpha(own: Samples, colour: Samples, channels: number): Samples {
  const out = own.slice();
  for (let from = 0, at = 0; at < out.length; at += channels, from += channels - 1) {
    if (out[at + channels - 1] === 0) continue;
    for (let c = 0; c < channels - 1; c++) out[at + c] = colour[from + c]!;
  }
  return out;
}
