import type { Metadata } from '../../codec.ts';
import { ascii, concat, startsWith, u32be } from '../../formats/bytes.ts';
import { EXIF_ID, ICC_ID, PHOTOSHOP_ID, segments, XMP_ID } from '../../formats/jpeg.ts';

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
  const [first, ...rest] = [...segments(bytes)];
  const head = first?.marker === 0xe0 ? first.end : 2;
  const profiles = icc ? rest.filter(({ marker, body }) => marker === 0xe2 && startsWith(body, ICC_ID)) : [];
  let at = head;
  const kept = profiles.map(({ body, end }) => {
    const before = bytes.subarray(at, end - body.length - 4);
    at = end;
    return before;
  });
  const out = concat(bytes.subarray(0, head), ...parts, ...kept, bytes.subarray(at));
  if (density !== undefined && head > 2) {
    // SOI 2, marker 2, length 2, "JFIF\0" 5, version 2: then unit (1 = dots an inch), X and Y.
    const data = new DataView(out.buffer, 13, 5);
    data.setUint8(0, 1);
    data.setUint16(1, Math.round(density));
    data.setUint16(3, Math.round(density));
  }
  return out;
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
