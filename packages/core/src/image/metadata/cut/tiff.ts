import { openTiff, TYPE_SIZES } from '../../formats/ifd.ts';
import { DESCRIPTIVE, removeEntries } from '../exif.ts';

/** XMP, IPTC, Photoshop's resources and layers, EXIF, GPS, C2PA. */
const OTHERS = [700, 33723, 34377, 37724, 34665, 34853, 52545];
/** How finely it was scanned says nothing of anybody. */
const RESOLUTION = [282, 283, 296];

/** Without descriptive fields, their values overwritten; what the pixels are found by does not move. */
export function cutTiff(bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice();
  const tiff = openTiff(copy);
  const { entries } = tiff.directory(tiff.first);
  const tags = [...DESCRIPTIVE, ...OTHERS].filter((tag) => !RESOLUTION.includes(tag) && entries.has(tag));
  const wipe = (from: number, length: number) => copy.fill(0, from, Math.min(copy.length, from + length));
  for (const tag of tags) {
    const entry = entries.get(tag)!;
    if (tag === 34665 || tag === 34853) wipeDirectory(entry.valueAt);
    else wipe(entry.valueAt, (TYPE_SIZES[entry.type] ?? 1) * entry.count);
  }
  removeEntries(copy, tiff, tiff.first, tags);
  return copy;

  function wipeDirectory(linkAt: number): void {
    const at = tiff.big
      ? tiff.view.u32(linkAt + (tiff.littleEndian ? 0 : 4), tiff.littleEndian)
      : tiff.view.u32(linkAt, tiff.littleEndian);
    const inner = tiff.directory(at);
    for (const entry of inner.entries.values()) wipe(entry.valueAt, (TYPE_SIZES[entry.type] ?? 1) * entry.count);
    wipe(at, inner.nextAt - at);
  }
}
