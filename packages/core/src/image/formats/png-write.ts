import { zlibSync } from 'fflate';
import { crc32 } from '../../base/crc32.ts';
import { bitDepth, type PixelImage } from '../pixels.ts';
import { ascii, concat, u32be } from './bytes.ts';

/** One chunk: length, type, body, checksum. */
export function pngChunk(type: string, body: Uint8Array): Uint8Array {
  const content = concat(ascii(type), body);
  return concat(u32be(body.length), content, u32be(crc32(content)));
}

/** PNG's colour type for so many channels. */
const COLOUR_TYPES = { 1: 0, 2: 4, 3: 2, 4: 6 } as const;

/**
 * PNG of 8 or 16 bits, grey or RGB as the image is, with alpha only where the image has it: canvases multiply colours by alpha on the way, and
 * @jsquash/png writes alpha always and 16 bits with their bytes exchanged. Filters are chosen row by row, by the least
 * sum of absolute differences (PNG 3rd edition, 12.7).
 */
export function writePng(image: PixelImage): Uint8Array {
  const { width, height, channels } = image;
  const depth = bitDepth(image);
  const pixel = channels * (depth / 8);
  const stride = width * pixel;
  const filtered = new Uint8Array(height * (stride + 1));
  let above: Uint8Array = new Uint8Array(stride);
  for (let y = 0; y < height; y++) {
    const row = rowBytes(image, y, stride);
    filterRow(row, above, pixel, filtered.subarray(y * (stride + 1), (y + 1) * (stride + 1)));
    above = row;
  }
  const header = concat(u32be(width), u32be(height), Uint8Array.of(depth, COLOUR_TYPES[channels], 0, 0, 0));
  return concat(
    Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a),
    pngChunk('IHDR', header),
    pngChunk('IDAT', zlibSync(filtered)),
    pngChunk('IEND', new Uint8Array(0)),
  );
}

/** A row's bytes; 16-bit samples with the high byte first. */
function rowBytes({ data, width, channels }: PixelImage, y: number, stride: number): Uint8Array {
  const samples = data.subarray(y * width * channels, (y + 1) * width * channels);
  const row = new Uint8Array(stride);
  if (samples instanceof Uint16Array) {
    samples.forEach((value, i) => {
      row[2 * i] = value >> 8;
      row[2 * i + 1] = value;
    });
  } else {
    row.set(samples);
  }
  return row;
}

function filterRow(row: Uint8Array, above: Uint8Array, pixel: number, out: Uint8Array): void {
  let best = Number.POSITIVE_INFINITY;
  const tried = new Uint8Array(row.length);
  for (let filter = 0; filter <= 4; filter++) {
    let cost = 0;
    for (let i = 0; i < row.length; i++) {
      const left = i < pixel ? 0 : row[i - pixel]!;
      const corner = i < pixel ? 0 : above[i - pixel]!;
      const value = (row[i]! - predict(filter, left, above[i]!, corner)) & 255;
      tried[i] = value;
      cost += value < 128 ? value : 256 - value;
    }
    if (cost < best) {
      best = cost;
      out[0] = filter;
      out.set(tried, 1);
    }
  }
}

function predict(filter: number, left: number, above: number, corner: number): number {
  if (filter === 0) return 0;
  if (filter === 1) return left;
  if (filter === 2) return above;
  if (filter === 3) return (left + above) >> 1;
  const guess = left + above - corner;
  const [a, b, c] = [Math.abs(guess - left), Math.abs(guess - above), Math.abs(guess - corner)];
  if (a <= b && a <= c) return left;
  return b <= c ? above : corner;
}
