import { zlibSync } from 'fflate';
import type { Metadata } from '../../codec.ts';
import { ascii, concat, u32be } from '../../formats/bytes.ts';
import { chunks, XMP_KEYWORD } from '../../formats/png.ts';
import { pngChunk } from '../../formats/png-write.ts';

/** Right behind IHDR: iCCP has to come before the palette and the pixels. An encoder's own pHYs gives way. */
export function embedPng(bytes: Uint8Array, metadata: Metadata): Uint8Array {
  const { exif, xmp, icc, density, cicp, gamma, chromaticities } = metadata;
  const parts: Uint8Array[] = [];
  const share = (value: number) => u32be(Math.round(value * 100_000));
  if (cicp) {
    const { primaries, transfer, fullRange } = cicp;
    // PNG holds RGB only, which is matrix 0.
    parts.push(pngChunk('cICP', Uint8Array.of(primaries, transfer, 0, fullRange ? 1 : 0)));
  }
  if (gamma !== undefined) parts.push(pngChunk('gAMA', share(gamma)));
  if (chromaticities) parts.push(pngChunk('cHRM', concat(...chromaticities.map(share))));
  if (icc) parts.push(pngChunk('iCCP', concat(ascii('icc\0\0'), zlibSync(icc))));
  if (density !== undefined) {
    const perMetre = u32be(Math.round(density / 0.0254));
    parts.push(pngChunk('pHYs', concat(perMetre, perMetre, Uint8Array.of(1))));
  }
  if (exif) parts.push(pngChunk('eXIf', exif));
  if (xmp) parts.push(pngChunk('iTXt', concat(ascii(`${XMP_KEYWORD}\0\0\0\0\0`), xmp)));
  let at = 8;
  const rest: Uint8Array[] = [];
  for (const { type, end } of chunks(bytes)) {
    if (type === 'IHDR') rest.push(bytes.subarray(0, end), ...parts);
    else if (!(type === 'pHYs' && density !== undefined)) rest.push(bytes.subarray(at, end));
    at = end;
  }
  return concat(...rest);
}
