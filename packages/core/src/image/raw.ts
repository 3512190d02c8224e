import type { Samples } from '../tiling/pixels.ts';
import { bitDepth, type Channels, checkRect, createPixels, type PixelImage } from './pixels.ts';

/** Where an image's own samples are read from, alpha included, a rectangle at a time and in any order. */
export interface RawSource {
  readonly width: number;
  readonly height: number;
  readonly bitDepth: 8 | 16;
  readonly channels: Channels;
  /** `width · height · channels` samples, interleaved, of the rectangle whose upper left pixel is (x, y). */
  read(x: number, y: number, width: number, height: number, signal?: AbortSignal): Promise<Samples>;
}

/** Where an image's own samples go, alpha included: whole rows from the top to the bottom. */
export interface RawSink {
  write(x: number, y: number, width: number, height: number, data: Samples): Promise<void>;
}

/** An image in memory as a source. */
export function rawImage(image: PixelImage): RawSource {
  const { width, height, channels, data } = image;
  return {
    width,
    height,
    channels,
    bitDepth: bitDepth(image),
    async read(x, y, w, h) {
      checkRect(image, { x, y, width: w, height: h });
      const out = createPixels(w, h, channels, bitDepth(image)).data as Samples;
      for (let row = 0; row < h; row++) {
        const from = ((y + row) * width + x) * channels;
        out.set(data.subarray(from, from + w * channels), row * w * channels);
      }
      return out;
    },
  };
}

/** A sink that keeps the whole image in memory: `image` is complete once everything is written. */
export function rawImageSink(
  shape: Pick<RawSource, 'width' | 'height' | 'channels' | 'bitDepth'>,
): RawSink & { readonly image: PixelImage } {
  const { width, height, channels, bitDepth: depth } = shape;
  const image = createPixels(width, height, channels, depth);
  return {
    image,
    async write(x, y, w, h, samples) {
      const stride = w * channels;
      for (let row = 0; row < h; row++) {
        image.data.set(samples.subarray(row * stride, (row + 1) * stride), ((y + row) * width + x) * channels);
      }
    },
  };
}
