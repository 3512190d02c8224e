import type { Header } from '../codec.ts';
import { corrupt, unsupported, viewBytes } from './bytes.ts';
import type { Format } from './format.ts';

/** BITMAPINFOHEADER and its longer successors. */
const LEAST_HEADER = 40;
/** BI_RGB and BI_BITFIELDS; run lengths and embedded JPEG or PNG are left out. */
const PLAIN = [0, 3];
const DEPTHS = [1, 4, 8, 16, 24, 32];

function read(bytes: Uint8Array) {
  const view = viewBytes(bytes, 'BMP');
  const [start, size] = [view.u32(10, true), view.u32(14, true)];
  if (size < LEAST_HEADER) throw unsupported('This BMP is of OS/2, which is not decoded; save it as PNG.');
  // A negative height says that the rows go from the top down.
  const [width, height] = [view.u32(18, true) | 0, Math.abs(view.u32(22, true) | 0)];
  const [bits, compression] = [view.u16(28, true), view.u32(30, true)];
  if (width <= 0 || height === 0) throw corrupt('BMP', `its sides are ${width} × ${height}`);
  if (!DEPTHS.includes(bits) || !PLAIN.includes(compression)) {
    throw unsupported('This BMP is compressed or of an odd depth, which is not decoded; save it as PNG.');
  }
  return { width, height, bits, start };
}

function header(bytes: Uint8Array): Header {
  const { width, height } = read(bytes);
  return {
    format: 'bmp',
    width,
    height,
    bitDepth: 8,
    bitsPerSample: 8,
    // The fourth byte of 32 bits means nothing in most files.
    hasAlpha: false,
    grey: false,
    lossless: true,
    frames: 1,
    orientation: 1,
  };
}

function complete(bytes: Uint8Array): boolean {
  const { width, height, bits, start } = read(bytes);
  return start + Math.ceil((width * bits) / 32) * 4 * height <= bytes.length;
}

export const bmp: Format = { header, complete, metadata: () => ({}) };
