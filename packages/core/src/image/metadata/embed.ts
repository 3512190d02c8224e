import type { Metadata, OutputFormat } from '../codec.ts';
import { embedAvif } from './embed/avif.ts';
import { embedJpeg } from './embed/jpeg.ts';
import { embedPng } from './embed/png.ts';
import { embedTiff } from './embed/tiff.ts';
import { embedWebp } from './embed/webp.ts';

const WRITERS: Readonly<Record<OutputFormat, (bytes: Uint8Array, metadata: Metadata) => Uint8Array>> = {
  jpeg: embedJpeg,
  png: embedPng,
  webp: embedWebp,
  avif: embedAvif,
  tiff: embedTiff,
};

/**
 * Writes metadata into an image that an encoder has just made and that holds none yet. One way for every codec: neither
 * wasm encoders nor canvases write any. IPTC has a place in JPEG and TIFF only, density in JPEG, PNG and TIFF; a part
 * that its container cannot hold (EXIF or XMP above JPEG's 64 KB) is left out.
 */
export function embedMetadata(bytes: Uint8Array, format: OutputFormat, metadata: Metadata): Uint8Array {
  return Object.values(metadata).every((part) => part === undefined) ? bytes : WRITERS[format](bytes, metadata);
}
