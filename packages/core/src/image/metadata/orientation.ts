import { ascii } from '../formats/bytes.ts';
import { openTiff } from '../formats/ifd.ts';

/** What stands before a JPEG's EXIF block. */
export const EXIF_ID = ascii('Exif\0\0');
export const ORIENTATION_TAG = 274;

/** EXIF metadata is best effort everywhere: a damaged block counts as absent, it never stops an image. */
export function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/** EXIF orientation 1…8 of a TIFF-structured block; 1 when absent, damaged or out of range. */
export function readOrientation(block: Uint8Array): number {
  const value = attempt(() => {
    const tiff = openTiff(block);
    return tiff.numbers(tiff.directory(tiff.first).entries.get(ORIENTATION_TAG), 1)[0];
  });
  return value !== undefined && value >= 1 && value <= 8 ? value : 1;
}

/** Sets the orientation of a block to 1, in place: for decoders that cannot be told to leave pixels as they lie. */
export function forgetOrientation(block: Uint8Array): void {
  attempt(() => {
    const tiff = openTiff(block);
    const entry = tiff.directory(tiff.first).entries.get(ORIENTATION_TAG);
    const data = new DataView(block.buffer, block.byteOffset, block.byteLength);
    if (entry?.type === 3) data.setUint16(entry.valueAt, 1, tiff.littleEndian);
  });
}
