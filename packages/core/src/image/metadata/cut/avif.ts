import { ascii, concat, viewBytes } from '../../formats/bytes.ts';
import { boxes, metaBoxes, readItems } from '../../formats/isobmff.ts';

/** An offset of 0, then a TIFF structure whose one directory has no entry. */
const EMPTY_EXIF = concat(new Uint8Array(4), ascii('II*\0'), Uint8Array.of(8, 0, 0, 0, 0, 0, 0, 0, 0, 0));
const EMPTY_XMP = ascii('<x:xmpmeta xmlns:x="adobe:ns:meta/"/>');

/**
 * With EXIF and XMP overwritten by empty ones of the same length: every offset in the file stays true. Boxes behind the pictures
 * that only describe (`uuid`, C2PA's `jumb`) become free space.
 */
export function cutAvif(bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice();
  const view = viewBytes(copy, 'AVIF');
  const { children } = metaBoxes(view);
  const idat = children.find(({ type }) => type === 'idat');
  for (const { type, contentType, method, extents } of readItems(view, children).values()) {
    const xmp = contentType === 'application/rdf+xml';
    if (type !== 'Exif' && !xmp) continue;
    const base = method === 1 ? (idat?.start ?? 0) : 0;
    const empty = xmp ? EMPTY_XMP : EMPTY_EXIF;
    extents.forEach(({ offset, length }, i) => {
      const area = copy.subarray(base + offset, base + offset + length);
      area.fill(xmp ? 0x20 : 0);
      if (i === 0 && area.length >= empty.length) area.set(empty);
    });
  }
  for (const { type, at, start, end } of boxes(view, 0, view.length)) {
    if (type !== 'uuid' && type !== 'jumb') continue;
    copy.set(ascii('free'), at + 4);
    copy.fill(0, start, end);
  }
  return copy;
}
