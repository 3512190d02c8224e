/**
 * Decoded pixels: row-major, interleaved, sRGB. `data` holds `width · height · channels` samples; 8-bit samples are
 * 0…255, 16-bit samples 0…65535. With four channels the last is straight (not premultiplied) alpha.
 */
export interface PixelImage {
  readonly width: number;
  readonly height: number;
  readonly channels: 3 | 4;
  readonly data: Uint8Array | Uint8ClampedArray | Uint16Array;
}
