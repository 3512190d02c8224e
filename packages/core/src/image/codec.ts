import type { Chromaticities } from './colour/matrix.ts';
import type { Cicp } from './colour/space.ts';
import type { PixelImage } from './pixels.ts';
import type { Warning } from './warnings.ts';

/** Container formats that elfin reads; all but `gif`, `heif` and `bmp` are also written. */
export type ImageFormat = 'jpeg' | 'png' | 'webp' | 'avif' | 'tiff' | 'gif' | 'heif' | 'bmp';
/** Formats that are written. */
export type OutputFormat = 'jpeg' | 'png' | 'webp' | 'avif' | 'tiff';

/** What an image says of itself before any pixel is decoded. `width` and `height` are after orientation. */
export interface Header {
  readonly format: ImageFormat;
  readonly width: number;
  readonly height: number;
  /** 16 when samples have more than 8 bits; decoding then gives 16-bit samples, where the codec can. */
  readonly bitDepth: 8 | 16;
  /** Bits that a sample really has: 10 or 12 in deep AVIF. */
  readonly bitsPerSample: number;
  readonly hasAlpha: boolean;
  /** One channel of colour. */
  readonly grey: boolean;
  /** Whether the file keeps its pixels exactly, as PNG does and as WebP and AVIF may. */
  readonly lossless: boolean;
  /** Animation frames or pages. More than one is refused unless decoding is asked for the first. */
  readonly frames: number;
  /** EXIF orientation 1…8 (AVIF and HEIF say it in their own boxes); decoding applies it. */
  readonly orientation: number;
}

/** What decoding may cost. Checked against the header, before decoding. */
export interface Limits {
  /** Most encoded bytes. */
  readonly bytes: number;
  /** Most pixels, width · height. */
  readonly pixels: number;
}

/** 64 MiB and 50 megapixels: a server may take as much from strangers. */
export const DEFAULT_LIMITS: Limits = { bytes: 64 * 1024 * 1024, pixels: 50_000_000 };

/** What survives from the source's metadata; orientation is always applied, so never kept as a tag. */
export type MetadataPolicy = 'none' | 'copyright' | 'keep';

/** Metadata taken aside at decoding, for the encoder to put back according to the policy. */
export interface Metadata {
  readonly exif?: Uint8Array;
  readonly xmp?: Uint8Array;
  readonly iptc?: Uint8Array;
  readonly density?: number;
  /** A signed history of the file (C2PA) is there. It is never written again: it is not true of other pixels. */
  readonly provenance?: boolean | undefined;
  /** A video, a gain map or another picture stands behind the first. It is never written again. */
  readonly trailer?: boolean | undefined;
  /** What the pixels' numbers mean: an ICC profile, code points of H.273, or PNG's gamma and primaries; sRGB without any. */
  readonly icc?: Uint8Array | undefined;
  readonly cicp?: Cicp | undefined;
  readonly gamma?: number | undefined;
  readonly chromaticities?: Chromaticities | undefined;
}

/** Pixels, what the header said of them, and what came with them. */
export interface Decoded extends PixelImage {
  readonly header: Header;
  readonly metadata: Metadata;
  /** What was lost or forgiven on the way. */
  readonly warnings: readonly Warning[];
}

/** How an image is decoded, and what it may cost. */
export interface DecodeOptions {
  readonly limits?: Partial<Limits>;
  /** What becomes of animations and multi-page files: IMAGE_ANIMATED (`refuse`, the default), or the first frame. */
  readonly animated?: 'refuse' | 'first';
  /**
   * `keep` (default) leaves numbers and profile alone; `srgb` converts to sRGB, clipping what lies beyond. What is neither grey
   * nor RGB (CMYK, Lab) is always converted.
   */
  readonly icc?: 'srgb' | 'keep' | undefined;
  /** Damage that every viewer forgives (no end marker, stray bytes): decoded with a warning (default), or refused. */
  readonly strict?: boolean | undefined;
  readonly signal?: AbortSignal;
}

/** How an image is written. */
export interface EncodeOptions {
  readonly format: OutputFormat;
  /** 1…100, default {@link DEFAULT_QUALITY}; ignored by png and tiff, which lose nothing. */
  readonly quality?: number;
  /** Without loss, where the format leaves the choice (WebP, AVIF); `quality` is then idle. */
  readonly lossless?: boolean | undefined;
  /**
   * The source's metadata, of which `policy` (default `none`) says what is written. Its profile belongs to the pixels and is
   * always written.
   */
  readonly metadata?: Metadata;
  readonly policy?: MetadataPolicy;
  readonly signal?: AbortSignal;
}

/** What each lossy format is written at when no quality is asked for. */
export const DEFAULT_QUALITY: Readonly<Record<OutputFormat, number>> = {
  jpeg: 90,
  webp: 88,
  avif: 70,
  png: 100,
  tiff: 100,
};

/**
 * Bytes to pixels and back. Implementations: `image/codecs/{sharp,jsquash,canvas}.ts`.
 * `decode` checks format, caps, animation and completeness on the bytes themselves (`image/admit.ts`) before a decoder
 * sees them, so that every implementation refuses the same files with the same codes.
 * Errors: OPTION_INVALID, ABORTED, IMAGE_EMPTY, IMAGE_TRUNCATED, IMAGE_CORRUPT, IMAGE_UNSUPPORTED, IMAGE_ANIMATED, IMAGE_TOO_MANY_BYTES, IMAGE_TOO_MANY_PIXELS.
 */
export interface Codec {
  /** Part of every result key, with `version`: other encoders make other bytes. */
  readonly name: string;
  readonly version: string;
  /** Formats that `encode` can write here. */
  readonly formats: readonly OutputFormat[];
  /** Reads the header only. */
  probe(bytes: Uint8Array): Promise<Header>;
  decode(bytes: Uint8Array, options?: DecodeOptions): Promise<Decoded>;
  encode(image: PixelImage, options: EncodeOptions): Promise<Uint8Array>;
  /** Resamples to exactly these sides (Lanczos, alpha weighted); `image/fit.ts` derives them from a fit mode. */
  resize(image: PixelImage, size: { readonly width: number; readonly height: number }): Promise<PixelImage>;
}
