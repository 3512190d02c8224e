import { concat } from '../../formats/bytes.ts';
import { chunks } from '../../formats/png.ts';

/** What describes, and decides neither pixels nor colours. Chunks of unknown names are private, so they go as well. */
const KEPT = ['tRNS', 'cICP', 'iCCP', 'sRGB', 'gAMA', 'cHRM', 'sBIT', 'bKGD', 'hIST', 'pHYs', 'mDCV', 'cLLI'];

/** Without EXIF, texts, times and private chunks. */
export function cutPng(bytes: Uint8Array): Uint8Array {
  const parts = [bytes.subarray(0, 8)];
  for (const { type, body, end } of chunks(bytes)) {
    // An upper-case first letter says that the picture cannot be shown without it.
    if (/^[A-Z]/.test(type) || KEPT.includes(type)) parts.push(bytes.subarray(end - body.length - 12, end));
    if (type === 'IEND') break;
  }
  return concat(...parts);
}
