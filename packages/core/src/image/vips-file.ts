import { endianness } from 'node:os';
import { corrupt } from './formats/bytes.ts';

/**
 * The head of libvips' own format, which sharp writes row by row and opens without copying: 64 bytes, then the samples,
 * interleaved, in the machine's byte order. (libvips/iofuncs/vips.c)
 */
export const VIPS_HEADER = 64;

export interface VipsShape {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly bitDepth: 8 | 16;
}

const LITTLE = endianness() === 'LE';
const MAGIC = LITTLE ? 0xb6a6f208 : 0x08f2a6b6;
/** VipsBandFormat and VipsInterpretation. */
const [UCHAR, USHORT, SRGB, RGB16] = [0, 2, 22, 25] as const;

export function writeVipsHeader({ width, height, channels, bitDepth }: VipsShape): Uint8Array {
  const head = new DataView(new ArrayBuffer(VIPS_HEADER));
  head.setUint32(0, MAGIC);
  const fields = [
    width,
    height,
    channels,
    bitDepth,
    bitDepth === 16 ? USHORT : UCHAR,
    0,
    bitDepth === 16 ? RGB16 : SRGB,
  ];
  fields.forEach((value, i) => {
    head.setInt32(4 + 4 * i, value, LITTLE);
  });
  // One pixel a millimetre, libvips' way of saying nothing.
  head.setFloat32(32, 1, LITTLE);
  head.setFloat32(36, 1, LITTLE);
  return new Uint8Array(head.buffer);
}

/** Throws IMAGE_CORRUPT for a head of anything else than 8 or 16 bits a sample in this machine's byte order. */
export function readVipsHeader(bytes: Uint8Array): VipsShape {
  const head = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const format = bytes.length < VIPS_HEADER || head.getUint32(0) !== MAGIC ? -1 : head.getInt32(20, LITTLE);
  if (format !== UCHAR && format !== USHORT) throw corrupt('temporary image', 'its head is not what was written');
  const [width, height, channels] = [4, 8, 12].map((at) => head.getInt32(at, LITTLE));
  return { width: width!, height: height!, channels: channels!, bitDepth: format === USHORT ? 16 : 8 };
}
