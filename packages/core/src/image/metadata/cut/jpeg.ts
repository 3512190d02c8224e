import { ascii, concat, startsWith } from '../../formats/bytes.ts';
import { endOfImage, ICC_ID, segments } from '../../formats/jpeg.ts';

const ADOBE = ascii('Adobe');
const JFIF = ascii('JFIF\0');

/** Application segments that decide how the pixels are read: JFIF, the profile, Adobe's colour transform. */
function decidesPixels(marker: number, body: Uint8Array): boolean {
  if (marker === 0xfe) return false;
  if (marker < 0xe0 || marker > 0xef) return true;
  if (marker === 0xe0) return startsWith(body, JFIF);
  if (marker === 0xe2) return startsWith(body, ICC_ID);
  return marker === 0xee && startsWith(body, ADOBE);
}

/** Without EXIF, XMP, IPTC, comments, makers' segments, and whatever stands behind the picture. */
export function cutJpeg(bytes: Uint8Array): Uint8Array {
  const parts = [bytes.subarray(0, 2)];
  let at = 2;
  for (const { marker, body, end } of segments(bytes)) {
    at = end;
    if (decidesPixels(marker, body)) parts.push(bytes.subarray(end - body.length - 4, end));
  }
  return concat(...parts, bytes.subarray(at, endOfImage(bytes) ?? bytes.length));
}
