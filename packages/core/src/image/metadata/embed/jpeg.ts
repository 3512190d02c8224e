import type { Metadata } from '../../codec.ts';
import { ascii, concat, startsWith, u32be } from '../../formats/bytes.ts';
import { ICC_ID, PHOTOSHOP_ID, segments, XMP_ID } from '../../formats/jpeg.ts';
import { EXIF_ID } from '../orientation.ts';

/** What a segment holds besides its two bytes of length. */
const MOST = 65_533;

/**
 * After the JFIF segment, as readers expect: EXIF, XMP, ICC in numbered parts, IPTC in Photoshop's wrapping. A profile
 * that the encoder wrote by itself (browsers do) gives way to the new one.
 */
export function embedJpeg(bytes: Uint8Array, metadata: Metadata): Uint8Array {
  const { exif, xmp, icc, iptc, density } = metadata;
  const parts: Uint8Array[] = [];
  if (exif) parts.push(...segment(0xe1, EXIF_ID, exif));
  if (xmp) parts.push(...segment(0xe1, XMP_ID, xmp));
  if (icc) parts.push(...profile(icc));
  if (iptc) parts.push(...segment(0xed, PHOTOSHOP_ID, resource(0x0404, iptc)));
  const all = [...segments(bytes)];
  // Encoders may leave JFIF out; density has no other place.
  const jfif = all[0]?.marker === 0xe0 ? all[0] : undefined;
  const head = jfif?.end ?? 2;
  if (density !== undefined) parts.unshift(...jfifWith(density));
  const profiles = icc ? all.filter(({ marker, body }) => marker === 0xe2 && startsWith(body, ICC_ID)) : [];
  let at = head;
  const kept = profiles.map(({ body, end }) => {
    const before = bytes.subarray(at, end - body.length - 4);
    at = end;
    return before;
  });
  const start = bytes.subarray(0, density === undefined ? head : 2);
  return concat(start, ...parts, ...kept, bytes.subarray(at));
}

/** JFIF 1.01 with so many dots an inch and no thumbnail. */
function jfifWith(density: number): Uint8Array[] {
  const dots = Math.min(65_535, Math.max(1, Math.round(density)));
  return segment(0xe0, ascii('JFIF\0'), Uint8Array.of(1, 1, 1, dots >> 8, dots, dots >> 8, dots, 0, 0));
}

function segment(marker: number, id: Uint8Array, body: Uint8Array): Uint8Array[] {
  const length = id.length + body.length + 2;
  return length - 2 > MOST ? [] : [concat(Uint8Array.of(0xff, marker, length >> 8, length), id, body)];
}

function profile(icc: Uint8Array): Uint8Array[] {
  const size = MOST - ICC_ID.length - 2;
  const count = Math.ceil(icc.length / size);
  if (count > 255) return [];
  return Array.from({ length: count }, (_, i) =>
    segment(0xe2, concat(ICC_ID, Uint8Array.of(i + 1, count)), icc.subarray(i * size, (i + 1) * size)),
  ).flat();
}

function resource(id: number, body: Uint8Array): Uint8Array {
  const padding = new Uint8Array(body.length % 2);
  return concat(ascii('8BIM'), Uint8Array.of(id >> 8, id, 0, 0), u32be(body.length), body, padding);
}
