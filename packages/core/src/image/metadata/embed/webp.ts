import type { Metadata } from '../../codec.ts';
import { ascii, concat, u32le } from '../../formats/bytes.ts';
import { chunks, FLAGS, webp } from '../../formats/webp.ts';

/** The extended layout of RFC 9649, 2.7: VP8X, ICCP (in the place of an encoder's own), the image's chunks, EXIF, XMP. */
export function embedWebp(bytes: Uint8Array, { exif, xmp, icc }: Metadata): Uint8Array {
  const { width, height, hasAlpha } = webp.header(bytes);
  const own = [...chunks(bytes)].filter(({ type }) => type !== 'VP8X' && !(type === 'ICCP' && icc));
  const profiled = icc !== undefined || own.some(({ type }) => type === 'ICCP');
  const present = { icc: profiled, exif: exif !== undefined, xmp: xmp !== undefined, alpha: hasAlpha };
  const flags = (Object.keys(present) as (keyof typeof present)[]).reduce(
    (sum, key) => sum | (present[key] ? FLAGS[key] : 0),
    0,
  );
  const side = (value: number) => u32le(value - 1).subarray(0, 3);
  const parts = [
    chunk('VP8X', concat(Uint8Array.of(flags, 0, 0, 0), side(width), side(height))),
    ...(icc ? [chunk('ICCP', icc)] : []),
    ...own.map(({ type, body }) => chunk(type, body)),
    ...(exif ? [chunk('EXIF', exif)] : []),
    ...(xmp ? [chunk('XMP ', xmp)] : []),
  ];
  const body = concat(ascii('WEBP'), ...parts);
  return concat(ascii('RIFF'), u32le(body.length), body);
}

function chunk(type: string, body: Uint8Array): Uint8Array {
  return concat(ascii(type), u32le(body.length), body, new Uint8Array(body.length % 2));
}
