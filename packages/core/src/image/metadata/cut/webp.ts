import { ascii, concat, u32le } from '../../formats/bytes.ts';
import { chunks, FLAGS } from '../../formats/webp.ts';

const KEPT = ['VP8X', 'VP8 ', 'VP8L', 'ALPH', 'ICCP', 'ANIM', 'ANMF'];

/** Without EXIF, XMP and private chunks. */
export function cutWebp(bytes: Uint8Array): Uint8Array {
  const parts = [ascii('WEBP')];
  for (const { type, body } of chunks(bytes)) {
    if (!KEPT.includes(type)) continue;
    const copy = body.slice();
    if (type === 'VP8X') copy[0]! &= ~(FLAGS.exif | FLAGS.xmp);
    parts.push(ascii(type), u32le(copy.length), copy, new Uint8Array(copy.length % 2));
  }
  const content = concat(...parts);
  return concat(ascii('RIFF'), u32le(content.length), content);
}
