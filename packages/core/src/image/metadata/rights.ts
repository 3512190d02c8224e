import type { Metadata } from '../codec.ts';
import { decodeText, readExifRights, writeExifRights } from './exif.ts';
import { readXmpRights, writeXmpRights } from './xmp.ts';

/** Who made a picture and what may be done with it: all that the policy `copyright` lets through. */
export interface Rights {
  creator?: string;
  /** The copyright notice. */
  notice?: string;
  credit?: string;
  owner?: string;
  usageTerms?: string;
  webStatement?: string;
  license?: string;
}

/** Rights out of XMP, then EXIF, then IPTC: the first that speaks of a field wins, as the richest comes first. */
export function readRights(metadata: Metadata): Rights {
  return {
    ...(metadata.iptc && readIptcRights(metadata.iptc)),
    ...(metadata.exif && readExifRights(metadata.exif)),
    ...(metadata.xmp && readXmpRights(metadata.xmp)),
  };
}

/** Fresh EXIF and XMP that hold these rights and nothing else. */
export function writeRights(rights: Rights): Metadata {
  const exif = writeExifRights(rights);
  const xmp = writeXmpRights(rights);
  return { ...(exif && { exif }), ...(xmp && { xmp }) };
}

/** By-line 2:80, credit 2:110, copyright notice 2:116 (IPTC IIM 4.2); stops at the first damaged dataset. */
function readIptcRights(iptc: Uint8Array): Rights {
  const found: Rights = {};
  let at = 0;
  while (at + 5 <= iptc.length && iptc[at] === 0x1c) {
    const key = { 80: 'creator', 110: 'credit', 116: 'notice' }[iptc[at + 1] === 2 ? iptc[at + 2]! : 0] as
      | 'creator'
      | 'credit'
      | 'notice'
      | undefined;
    const length = (iptc[at + 3]! << 8) | iptc[at + 4]!;
    // A set high bit announces an extended length: no text of a sane size has one.
    if (length & 0x8000 || at + 5 + length > iptc.length) break;
    const text = decodeText(iptc.subarray(at + 5, at + 5 + length)).trim();
    if (key && text) found[key] = found[key] ? `${found[key]}; ${text}` : text;
    at += 5 + length;
  }
  return found;
}
