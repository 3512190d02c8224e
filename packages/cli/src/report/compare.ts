import { loadSharpCodec, type PixelImage, type WriteOptions, writeAtomically } from '@elfin/core/node';
import sharp, { type OverlayOptions, type Sharp } from 'sharp';

/** Longest side of one half of a comparison, in pixels. */
const SIDE = 1200;
const GAP = 4;

/**
 * Source and result side by side as one JPEG, scaled down to be looked at. Both are read from their files, so that a large
 * photo is never held twice. Errors: OUTPUT_UNWRITABLE.
 */
export async function writeComparison(
  path: string,
  before: string | Uint8Array,
  after: string | Uint8Array,
  options: WriteOptions,
): Promise<void> {
  const [left, right] = await Promise.all([half(before), half(after)]);
  const width = left.info.width + GAP + right.info.width;
  const height = Math.max(left.info.height, right.info.height);
  const tiles: OverlayOptions[] = [left, right].map(({ data, info }, index) => ({
    input: data,
    raw: { width: info.width, height: info.height, channels: 3 },
    left: index * (left.info.width + GAP),
    top: 0,
  }));
  const sheet = sharp({ create: { width, height, channels: 3, background: '#ffffff' } }).composite(tiles);
  await writeAtomically(path, await sheet.jpeg({ quality: 90 }).toBuffer(), options);
}

function half(image: string | Uint8Array) {
  return flat(sharp(image, { autoOrient: true }).resize(SIDE, SIDE, { fit: 'inside', withoutEnlargement: true }));
}

function flat(image: Sharp) {
  return image.flatten({ background: '#ffffff' }).toColourspace('srgb').raw().toBuffer({ resolveWithObject: true });
}

/** The degradation that the network predicted, as a PNG. Errors: OUTPUT_UNWRITABLE. */
export async function writeMap(path: string, degradation: PixelImage, options: WriteOptions): Promise<void> {
  const codec = await loadSharpCodec();
  await writeAtomically(path, await codec.encode(degradation, { format: 'png' }), options);
}
