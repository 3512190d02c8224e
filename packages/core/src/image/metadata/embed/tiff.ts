import { ElfinError } from '../../../base/errors.ts';
import type { Metadata } from '../../codec.ts';
import { concat, u32le } from '../../formats/bytes.ts';
import { openTiff, TYPE_SIZES } from '../../formats/ifd.ts';
import { exifFields, type Field, writeDirectory } from '../exif.ts';

const [RESOLUTION_X, RESOLUTION_Y, RESOLUTION_UNIT] = [282, 283, 296] as const;

/**
 * Appends a new first directory, the old one's fields and the metadata together, and points the header there: nothing
 * that pixels are found by has to move. Our encoders write one little-endian directory.
 */
export function embedTiff(bytes: Uint8Array, { exif, xmp, iptc, icc, density }: Metadata): Uint8Array {
  const tiff = openTiff(bytes);
  if (!tiff.littleEndian || tiff.big) {
    throw new ElfinError(
      'OPTION_INVALID',
      'Metadata is only added to little-endian classic TIFF; write it as PNG instead.',
    );
  }
  const fields = new Map<number, Field>();
  for (const entry of tiff.directory(tiff.first).entries.values()) {
    if (TYPE_SIZES[entry.type]) fields.set(entry.tag, { tag: entry.tag, type: entry.type, value: tiff.value(entry) });
  }
  const put = (tag: number, type: number, value: Uint8Array) => fields.set(tag, { tag, type, value });
  const described = exif ? exifFields(exif) : { fields: [], subs: [] };
  for (const field of described.fields) fields.set(field.tag, field);
  if (density !== undefined) {
    const ratio = concat(u32le(Math.round(density * 1000)), u32le(1000));
    put(RESOLUTION_X, 5, ratio);
    put(RESOLUTION_Y, 5, ratio);
    put(RESOLUTION_UNIT, 3, Uint8Array.of(2, 0));
  }
  if (xmp) put(700, 1, xmp);
  if (iptc) put(33723, 7, iptc);
  if (icc) put(34675, 7, icc);

  const even = bytes.length % 2 ? concat(bytes, new Uint8Array(1)) : bytes;
  const parts = [even];
  let at = even.length;
  for (const sub of described.subs) {
    put(sub.tag, 4, u32le(at));
    const body = writeDirectory(sub.fields, at, 0);
    parts.push(body);
    at += body.length;
  }
  const out = concat(...parts, writeDirectory([...fields.values()], at, 0));
  out.set(u32le(at), 4);
  return out;
}
