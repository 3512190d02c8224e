import { ElfinError } from '../base/errors.ts';
import { asRgb, type PixelImage } from '../image/pixels.ts';

/** Samples of one rectangle: row-major, RGB interleaved, 8 or 16 bits each. */
export type Samples = Uint8Array | Uint16Array;

/**
 * Where the runner reads the image from, a rectangle at a time and in any order: memory, a raw file read by position, …
 * Rectangles always lie inside the image; several reads may be under way at once. `global` tiling asks for rows y, y+H/2
 * and 2y of the image together, so a source must not need to be read from top to bottom.
 */
export interface PixelSource {
  readonly width: number;
  readonly height: number;
  /** 8: `read` gives Uint8Array, 0…255. 16: Uint16Array, 0…65535. */
  readonly bitDepth: 8 | 16;
  /** `width · height · 3` samples of the rectangle whose upper left pixel is (x, y). */
  read(x: number, y: number, width: number, height: number, signal?: AbortSignal): Promise<Samples>;
}

/**
 * Where the runner puts the result. A sink may rely on this order: every call brings whole rows (`x` = 0, `width` = the
 * image's), each row comes exactly once, from the top to the bottom without gaps, and a call begins only after the last
 * one has settled. `data` has the source's bit depth and may be kept. A sink that fails ends the run with its error.
 */
export interface PixelSink {
  write(x: number, y: number, width: number, height: number, data: Samples): Promise<void>;
}

/** An image in memory as a source; alpha, if any, is left out (it is never restored), grey is spread over three channels. Errors: IMAGE_EMPTY, OPTION_INVALID. */
export function imageSource(image: PixelImage): PixelSource {
  if (image.channels < 3) return imageSource(asRgb(image));
  const { width, height, channels, data } = image;
  if (!(width >= 1 && height >= 1)) {
    throw new ElfinError('IMAGE_EMPTY', `An image of ${width}×${height} has no pixels; hand in at least 1×1.`);
  }
  if (data.length !== width * height * channels) {
    throw new ElfinError(
      'OPTION_INVALID',
      `An image of ${width}×${height} with ${channels} channels needs ${width * height * channels} samples, not ${data.length}.`,
    );
  }
  const bitDepth = data instanceof Uint16Array ? 16 : 8;
  return {
    width,
    height,
    bitDepth,
    async read(x, y, w, h) {
      const out = bitDepth === 16 ? new Uint16Array(w * h * 3) : new Uint8Array(w * h * 3);
      let to = 0;
      for (let row = y; row < y + h; row++) {
        let from = (row * width + x) * channels;
        if (channels === 3) {
          out.set(data.subarray(from, from + w * 3), to);
          to += w * 3;
          continue;
        }
        for (let column = 0; column < w; column++, from += 4) {
          out[to++] = data[from]!;
          out[to++] = data[from + 1]!;
          out[to++] = data[from + 2]!;
        }
      }
      return out;
    },
  };
}

/** A sink that keeps the whole image in memory: `image` is complete once the run has ended. */
export function imageSink(width: number, height: number, bitDepth: 8 | 16): PixelSink & { readonly image: PixelImage } {
  const length = width * height * 3;
  const data = bitDepth === 16 ? new Uint16Array(length) : new Uint8Array(length);
  return {
    image: { width, height, channels: 3, data },
    async write(x, y, w, h, samples) {
      for (let row = 0; row < h; row++) {
        data.set(samples.subarray(row * w * 3, (row + 1) * w * 3), ((y + row) * width + x) * 3);
      }
    },
  };
}
