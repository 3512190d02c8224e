import { ElfinError } from '../base/errors.ts';
import { asRgb, type PixelImage } from '../image/pixels.ts';

/**
 * What pictures are compared on: `y`, the luma that deraining papers report on, or `rgb`, each channel by itself and averaged,
 * as papers on low light and underwater do.
 */
export type MetricSpace = 'y' | 'rgb';

/** A picture's samples in 0…255, row by row and without a copy of the whole. */
export interface Planes {
  readonly width: number;
  readonly height: number;
  readonly count: number;
  /** Writes row `y` of a plane into `out[0…width)`. */
  row(plane: number, y: number, out: Float64Array): void;
}

const RED = Float64Array.from({ length: 256 }, (_, v) => (65.481 * v) / 255);
const GREEN = Float64Array.from({ length: 256 }, (_, v) => (128.553 * v) / 255);
const BLUE = Float64Array.from({ length: 256 }, (_, v) => (24.966 * v) / 255);

/**
 * The planes of a picture. 16-bit samples are rounded to 8 bits first, as a saved result would be; alpha is left aside.
 * `y` is MATLAB's `rgb2ycbcr` of a uint8 picture: 16…235, rounded to whole numbers (ITU-R BT.601).
 */
export function planesOf(given: PixelImage, space: MetricSpace): Planes {
  const image = asRgb(given);
  const { width, height, channels } = image;
  const sample = byteSampler(image);
  if (space === 'rgb') {
    return {
      width,
      height,
      count: 3,
      row: (plane, y, out) => {
        for (let x = 0, at = y * width * channels + plane; x < width; x++, at += channels) out[x] = sample(at);
      },
    };
  }
  return {
    width,
    height,
    count: 1,
    row: (_, y, out) => {
      for (let x = 0, at = y * width * channels; x < width; x++, at += channels)
        out[x] = Math.floor(RED[sample(at)]! + GREEN[sample(at + 1)]! + BLUE[sample(at + 2)]! + 16.5);
    },
  };
}

/** Samples of a picture as 0…255, whatever its depth. */
export function byteSampler({ data }: PixelImage): (at: number) => number {
  if (!(data instanceof Uint16Array)) return (at) => data[at]!;
  // 65535 = 255 · 257: the nearest byte, and 257 is odd, so never a tie.
  return (at) => Math.floor((data[at]! + 128) / 257);
}

/** @throws OPTION_INVALID unless both pictures have one size, of at least `least` pixels a side */
export function checkPair(image: PixelImage, reference: PixelImage, least: number, metric: string): void {
  if (image.width !== reference.width || image.height !== reference.height) {
    const sizes = `${image.width}×${image.height} and ${reference.width}×${reference.height}`;
    throw new ElfinError('OPTION_INVALID', `${metric} compares pictures of one size; these have ${sizes} pixels.`);
  }
  checkSide(image, least, metric);
}

/** @throws OPTION_INVALID where a side has fewer than `least` pixels */
export function checkSide({ width, height }: PixelImage, least: number, metric: string): void {
  if (width >= least && height >= least) return;
  throw new ElfinError(
    'OPTION_INVALID',
    `${metric} needs at least ${least}×${least} pixels; the picture has ${width}×${height}.`,
  );
}
