import type { Header } from '../codec.ts';
import { type ByteView, corrupt, viewBytes } from './bytes.ts';
import type { Format } from './format.ts';

interface Walk {
  readonly frames: number;
  readonly transparent: boolean;
  /** Whether the first frame covers the whole screen. */
  readonly covers: boolean;
}

function colourTable(flags: number): number {
  return flags & 0x80 ? 3 << ((flags & 7) + 1) : 0;
}

/** Walks the blocks as far as the bytes go (GIF89a, appendix B). Counts only frames whose data is whole. */
function walk(view: ByteView): Walk {
  let [frames, transparent, covers] = [0, false, true];
  let at = 13 + colourTable(view.u8(10));
  while (at < view.length) {
    const block = view.u8(at);
    if (block === 0x3b) break;
    if (block === 0x21) {
      if (frames === 0 && at + 4 <= view.length && view.u8(at + 1) === 0xf9) transparent = (view.u8(at + 3) & 1) === 1;
      at += 2;
    } else if (block === 0x2c) {
      if (at + 10 > view.length) break;
      if (frames === 0) covers = isWhole(view, at);
      at += 11 + colourTable(view.u8(at + 9));
    } else if (frames > 0) {
      break;
    } else {
      throw corrupt('GIF', `an unknown block at byte ${at}`);
    }
    while (at < view.length && view.u8(at) !== 0) at += 1 + view.u8(at);
    if (at >= view.length) break;
    at++;
    if (block === 0x2c) frames++;
  }
  return { frames, transparent, covers };
}

function isWhole(view: ByteView, at: number): boolean {
  const [left, top] = [view.u16(at + 1, true), view.u16(at + 3, true)];
  const [width, height] = [view.u16(at + 5, true), view.u16(at + 7, true)];
  return left === 0 && top === 0 && width >= view.u16(6, true) && height >= view.u16(8, true);
}

function header(bytes: Uint8Array): Header {
  const view = viewBytes(bytes, 'GIF');
  const [width, height] = [view.u16(6, true), view.u16(8, true)];
  if (width === 0 || height === 0) throw corrupt('GIF', `its sides are ${width} × ${height}`);
  const { frames, transparent, covers } = walk(view);
  return {
    format: 'gif',
    width,
    height,
    bitDepth: 8,
    bitsPerSample: 8,
    grey: false,
    lossless: true,
    hasAlpha: transparent || !covers,
    frames: Math.max(1, frames),
    orientation: 1,
  };
}

/** Many writers forget the trailer: a whole first frame is enough. */
function complete(bytes: Uint8Array): boolean {
  return walk(viewBytes(bytes, 'GIF')).frames > 0;
}

export const gif: Format = { header, complete, metadata: () => ({}) };
