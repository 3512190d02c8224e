import { ElfinError } from '../base/errors.ts';

/** Sample storage: 8-bit samples are 0…255, 16-bit samples 0…65535. */
export type PixelData = Uint8Array | Uint8ClampedArray | Uint16Array;

/**
 * Decoded pixels: row-major, interleaved, sRGB. `data` holds `width · height · channels` samples; 8-bit samples are
 * 0…255, 16-bit samples 0…65535. With four channels the last is straight (not premultiplied) alpha.
 */
export interface PixelImage {
  readonly width: number;
  readonly height: number;
  readonly channels: 3 | 4;
  readonly data: PixelData;
}

/** A rectangle in pixels; it must lie inside its image. */
export interface Rect {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** Bits a sample: 8 or 16, told by the array's type. */
export function bitDepth(image: { readonly data: PixelData }): 8 | 16 {
  return image.data instanceof Uint16Array ? 16 : 8;
}

/** A black (and, with alpha, transparent) image. Throws OPTION_INVALID for sides that are not positive integers. */
export function createPixels(width: number, height: number, channels: 3 | 4 = 3, depth: 8 | 16 = 8): PixelImage {
  checkSides(width, height);
  const length = width * height * channels;
  return { width, height, channels, data: depth === 16 ? new Uint16Array(length) : new Uint8Array(length) };
}

/**
 * Checks pixels that a caller handed in, an `ImageData` included (four channels), and returns them as a
 * {@link PixelImage} over the same memory. Throws OPTION_INVALID for a wrong shape or type, IMAGE_CORRUPT when the
 * array's length contradicts the sides.
 */
export function checkPixels(value: unknown): PixelImage {
  if (typeof value !== 'object' || value === null) {
    throw new ElfinError('OPTION_INVALID', 'Pixels must be { width, height, channels, data } or an ImageData.');
  }
  const { width, height, data, channels } = value as Partial<PixelImage>;
  checkSides(width, height);
  if (!isSamples(data)) {
    throw new ElfinError(
      'OPTION_INVALID',
      'Pixel data must be a Uint8Array, Uint8ClampedArray or Uint16Array; convert float pixels first.',
    );
  }
  // An ImageData has no `channels`; its samples are always RGBA.
  const count = channels === undefined && data instanceof Uint8ClampedArray ? 4 : channels;
  if (count !== 3 && count !== 4) {
    throw new ElfinError('OPTION_INVALID', `Pixels need 3 (RGB) or 4 (RGBA) channels, not ${String(channels)}.`);
  }
  const expected = width! * height! * count;
  if (data.length !== expected) {
    throw new ElfinError(
      'IMAGE_CORRUPT',
      `Pixel data holds ${data.length} samples where ${width} × ${height} × ${count} needs ${expected}.`,
      { data: { expected, actual: data.length } },
    );
  }
  return { width: width!, height: height!, channels: count, data };
}

/** The same image at 8 or 16 bits a sample; itself when it has that depth. 8 → 16 → 8 is lossless. */
export function toDepth(image: PixelImage, depth: 8 | 16): PixelImage {
  if (bitDepth(image) === depth) return image;
  return { ...image, data: convertSamples(image.data, depth) };
}

/** Colour and alpha apart: the network sees three channels. `alpha` (width · height samples) is absent for opaque images. */
export function splitAlpha(image: PixelImage): { colour: PixelImage; alpha?: PixelData } {
  if (image.channels === 3) return { colour: image };
  const count = image.width * image.height;
  const colour = createPixels(image.width, image.height, 3, bitDepth(image));
  const alpha = bitDepth(image) === 16 ? new Uint16Array(count) : new Uint8Array(count);
  for (let i = 0, from = 0, to = 0; i < count; i++, from += 4, to += 3) {
    colour.data[to] = image.data[from]!;
    colour.data[to + 1] = image.data[from + 1]!;
    colour.data[to + 2] = image.data[from + 2]!;
    alpha[i] = image.data[from + 3]!;
  }
  return { colour, alpha };
}

/** Puts alpha back, converting its depth to the colour's. Throws IMAGE_CORRUPT when the sizes differ. */
export function joinAlpha(colour: PixelImage, alpha: PixelData | undefined): PixelImage {
  if (!alpha) return colour;
  const count = colour.width * colour.height;
  if (alpha.length !== count) {
    throw new ElfinError('IMAGE_CORRUPT', `Alpha holds ${alpha.length} samples where the image has ${count} pixels.`);
  }
  const depth = bitDepth(colour);
  const plane = bitDepth({ data: alpha }) === depth ? alpha : convertSamples(alpha, depth);
  const out = createPixels(colour.width, colour.height, 4, depth);
  for (let i = 0, from = 0, to = 0; i < count; i++, from += colour.channels, to += 4) {
    out.data[to] = colour.data[from]!;
    out.data[to + 1] = colour.data[from + 1]!;
    out.data[to + 2] = colour.data[from + 2]!;
    out.data[to + 3] = plane[i]!;
  }
  return out;
}

/** Alpha laid over white, for formats without alpha; opaque images come back as they are. */
export function flattenOnWhite(image: PixelImage): PixelImage {
  const { colour, alpha } = splitAlpha(image);
  if (!alpha) return image;
  const full = bitDepth(image) === 16 ? 65535 : 255;
  for (let i = 0; i < colour.data.length; i++) {
    const share = alpha[Math.trunc(i / 3)]! / full;
    colour.data[i] = Math.round(colour.data[i]! * share + full * (1 - share));
  }
  return colour;
}

/** PixelData at another depth: 8 → 16 multiplies by 257, 16 → 8 rounds. */
export function convertSamples(samples: PixelData, depth: 8 | 16): Uint8Array | Uint16Array {
  if (depth === 16) {
    const wide = new Uint16Array(samples.length);
    for (let i = 0; i < wide.length; i++) wide[i] = samples[i]! * 257;
    return wide;
  }
  const narrow = new Uint8Array(samples.length);
  for (let i = 0; i < narrow.length; i++) narrow[i] = (samples[i]! + 128) / 257;
  return narrow;
}

/** Throws OPTION_INVALID when `rect` is empty, fractional, or leaves the image. */
export function checkRect(image: { readonly width: number; readonly height: number }, rect: Rect): void {
  const { x, y, width, height } = rect;
  const whole = [x, y, width, height].every(Number.isInteger);
  if (!whole || x < 0 || y < 0 || width < 1 || height < 1 || x + width > image.width || y + height > image.height) {
    throw new ElfinError(
      'OPTION_INVALID',
      `The rectangle ${width} × ${height} at ${x}, ${y} does not lie inside an image of ${image.width} × ${image.height}.`,
    );
  }
}

function isSamples(data: unknown): data is PixelData {
  return data instanceof Uint8Array || data instanceof Uint8ClampedArray || data instanceof Uint16Array;
}

function checkSides(width: unknown, height: unknown): void {
  const sound = (side: unknown) => Number.isInteger(side) && (side as number) > 0;
  if (!sound(width) || !sound(height)) {
    throw new ElfinError(
      'OPTION_INVALID',
      `An image's sides must be positive whole numbers, not ${String(width)} × ${String(height)}.`,
    );
  }
}
