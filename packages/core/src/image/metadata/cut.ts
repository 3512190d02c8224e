import type { Header, Metadata, MetadataPolicy, OutputFormat } from '../codec.ts';
import { cutAvif } from './cut/avif.ts';
import { cutJpeg } from './cut/jpeg.ts';
import { cutPng } from './cut/png.ts';
import { cutTiff } from './cut/tiff.ts';
import { cutWebp } from './cut/webp.ts';
import { embedMetadata } from './embed.ts';
import { exifFields, type Field, writeTiff } from './exif.ts';
import { ORIENTATION_TAG } from './orientation.ts';
import { applyPolicy } from './policy.ts';

const CUTTERS: Readonly<Record<OutputFormat, (bytes: Uint8Array) => Uint8Array>> = {
  jpeg: cutJpeg,
  png: cutPng,
  webp: cutWebp,
  avif: cutAvif,
  tiff: cutTiff,
};

/** Formats whose orientation stands in EXIF; AVIF and TIFF have places of their own for it. */
const TURNED_BY_EXIF: readonly OutputFormat[] = ['jpeg', 'png', 'webp'];

/**
 * A file as it is, of whose metadata the policy takes something out: nothing is decoded, the compressed pixels and what decides their
 * colours, sides and direction stay byte for byte. `keep` gives the file itself.
 */
export function cutMetadata(
  bytes: Uint8Array,
  header: Pick<Header, 'orientation'> & { readonly format: OutputFormat },
  metadata: Metadata,
  policy: MetadataPolicy = 'none',
): Uint8Array {
  if (policy === 'keep') return bytes;
  const { format, orientation } = header;
  const bare = CUTTERS[format](bytes);
  const kept = applyPolicy(metadata, policy);
  const turned = orientation !== 1 && TURNED_BY_EXIF.includes(format);
  return embedMetadata(bare, format, turned ? { ...kept, exif: turnedExif(orientation, kept.exif) } : kept);
}

function turnedExif(orientation: number, exif: Uint8Array | undefined): Uint8Array {
  const { fields, subs } = exif ? exifFields(exif) : { fields: [], subs: [] };
  const turn: Field = { tag: ORIENTATION_TAG, type: 3, value: Uint8Array.of(orientation, 0) };
  return writeTiff([...fields, turn], subs);
}
