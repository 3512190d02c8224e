import type { Header, Metadata } from '../codec.ts';

/** What is read of one container format without decoding pixels. */
export interface Format {
  /** Throws IMAGE_TRUNCATED, IMAGE_CORRUPT, IMAGE_UNSUPPORTED. The first bytes of a file suffice, if they hold the header. */
  header(bytes: Uint8Array): Header;
  /** Whether the container holds everything that it announces. Decoders differ in what they let pass; this does not. */
  complete(bytes: Uint8Array): boolean;
  /**
   * The file without damage that every viewer forgives; absent where nothing of the kind is known. Throws as `header`. What is
   * mended must still be whole for a decoder that is strict.
   */
  mend?(bytes: Uint8Array): Mended;
  /** Metadata as found; damaged parts are left out. */
  metadata(bytes: Uint8Array): Metadata;
  /** Sets EXIF's orientation to 1, in place; absent where EXIF does not turn the picture. */
  forgetOrientation?(bytes: Uint8Array): void;
}

/** A file whose forgivable damage is mended. */
export interface Mended {
  readonly bytes: Uint8Array;
  /** What was wrong, each as a noun; none where the file is as it should be. */
  readonly flaws: readonly string[];
}

/** Metadata as the file holds it. A file whose structure is damaged gives none. */
export function metadataBy(format: Format, bytes: Uint8Array): Metadata {
  try {
    return format.metadata(bytes);
  } catch {
    return {};
  }
}
