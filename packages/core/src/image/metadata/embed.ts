import type { Metadata, OutputFormat } from '../codec.ts';
import { embedAvif } from './embed/avif.ts';
import { embedJpeg } from './embed/jpeg.ts';
import { embedPng } from './embed/png.ts';
import { embedTiff } from './embed/tiff.ts';
import { embedWebp } from './embed/webp.ts';
import { upright } from './exif.ts';

/** EXIF or XMP in one segment of a JPEG, its name left aside. */
const MOST_SEGMENT = 65_500;

const WRITERS: Readonly<Record<OutputFormat, (bytes: Uint8Array, metadata: Metadata) => Uint8Array>> = {
  jpeg: embedJpeg,
  png: embedPng,
  webp: embedWebp,
  avif: embedAvif,
  tiff: embedTiff,
};

/**
 * What of a source's metadata is lost although it should be kept, as nouns: the container has no place for it, or it is damaged. */
export function unkept(metadata: Metadata, format: OutputFormat): string[] {
  const found = [];
  const most = format === 'jpeg' ? MOST_SEGMENT : Number.POSITIVE_INFINITY;
  const { exif, xmp, iptc } = metadata;
  if (exif && (exif.length > most || !upright(exif))) found.push('EXIF');
  if (xmp && xmp.length > most) found.push('XMP');
  if (iptc && format !== 'jpeg' && format !== 'tiff') found.push('IPTC');
  return found;
}

/**
 * Writes metadata into an image that an encoder has just made and that holds none yet. One way for every codec: neither
 * wasm encoders nor canvases write any. IPTC has a place in JPEG and TIFF only, density in JPEG, PNG and TIFF; a part
 * that its container cannot hold (EXIF or XMP above JPEG's 64 KB) is left out.
 */
export function embedMetadata(bytes: Uint8Array, format: OutputFormat, metadata: Metadata): Uint8Array {
  return Object.values(metadata).every((part) => part === undefined) ? bytes : WRITERS[format](bytes, metadata);
}
