import type { PixelImage } from './pixels.ts';

/** Container formats that elfin reads; all but `gif` and `heif` are also written. */
export type ImageFormat = 'jpeg' | 'png' | 'webp' | 'avif' | 'tiff' | 'gif' | 'heif';
export type OutputFormat = 'jpeg' | 'png' | 'webp' | 'avif' | 'tiff';

/** What an image says of itself before any pixel is decoded. `width` and `height` are after EXIF orientation. */
export interface Header {
  readonly format: ImageFormat;
  readonly width: number;
  readonly height: number;
  readonly bitDepth: 8 | 16;
  readonly hasAlpha: boolean;
  readonly frames: number;
  /** EXIF orientation 1…8; decoding applies it. */
  readonly orientation: number;
}

/** What decoding may cost. Checked against the header, before decoding. */
export interface Limits {
  /** Most encoded bytes. */
  readonly bytes: number;
  /** Most pixels, width · height. */
  readonly pixels: number;
}

export const DEFAULT_LIMITS: Limits = { bytes: 64 * 1024 * 1024, pixels: 50_000_000 };

/** What survives from the source's metadata; orientation is always applied, so never kept as a tag. */
export type MetadataPolicy = 'none' | 'copyright' | 'keep';

/** Metadata taken aside at decoding, for the encoder to put back according to the policy. */
export interface Metadata {
  readonly exif?: Uint8Array;
  readonly xmp?: Uint8Array;
  readonly iptc?: Uint8Array;
  /** The source's ICC profile. Pixels are already sRGB unless decoding was asked to keep the profile. */
  readonly icc?: Uint8Array;
  readonly density?: number;
}

export interface Decoded extends PixelImage {
  readonly header: Header;
  readonly metadata: Metadata;
}

export interface DecodeOptions {
  readonly limits?: Partial<Limits>;
  /** `srgb` (default) converts through the embedded profile; `keep` leaves the numbers and the profile alone. */
  readonly icc?: 'srgb' | 'keep';
  readonly signal?: AbortSignal;
}

export interface EncodeOptions {
  readonly format: OutputFormat;
  /** 1…100; ignored by png and tiff. */
  readonly quality?: number;
  readonly metadata?: Metadata;
  readonly policy?: MetadataPolicy;
}

/**
 * Bytes to pixels and back. Implementations: `image/codecs/{sharp,jsquash,canvas}.ts`.
 * Errors: IMAGE_EMPTY, IMAGE_TRUNCATED, IMAGE_CORRUPT, IMAGE_UNSUPPORTED, IMAGE_ANIMATED, IMAGE_TOO_MANY_BYTES, IMAGE_TOO_MANY_PIXELS.
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
}
