import { ElfinError } from '../base/errors.ts';

/** Sample storage: 8-bit samples are 0…255, 16-bit samples 0…65535. */
export type PixelData = Uint8Array | Uint8ClampedArray | Uint16Array;

/** 1 grey, 2 grey with alpha, 3 RGB, 4 RGB with alpha. */
export type Channels = 1 | 2 | 3 | 4;

/**
 * Decoded pixels: row-major, interleaved, in the encoding that came with them (`Metadata.icc` and its like), sRGB where there is
 * none. `data` holds `width · height · channels` samples; 8-bit samples are 0…255, 16-bit samples 0…65535. With two or four
 * channels the last is straight (not premultiplied) alpha.
 */
export interface PixelImage {
  readonly width: number;
  readonly height: number;
  readonly channels: Channels;
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

/** Whether the last channel is alpha. */
export function hasAlpha({ channels }: { readonly channels: Channels }): boolean {
  return channels % 2 === 0;
}

/** A black (and, with alpha, transparent) image. Throws OPTION_INVALID for sides that are not positive integers. */
export function createPixels(width: number, height: number, channels: Channels = 3, depth: 8 | 16 = 8): PixelImage {
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
  if (count !== 1 && count !== 2 && count !== 3 && count !== 4) {
    throw new ElfinError(
      'OPTION_INVALID',
      `Pixels need 1 (grey), 2 (grey and alpha), 3 (RGB) or 4 (RGBA) channels, not ${String(channels)}.`,
    );
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

/** Colour (or grey) and alpha apart. `alpha` (width · height samples) is absent for opaque images. */
export function splitAlpha(image: PixelImage): { colour: PixelImage; alpha?: PixelData } {
  if (!hasAlpha(image)) return { colour: image };
  const count = image.width * image.height;
  const own = (image.channels - 1) as 1 | 3;
  const colour = createPixels(image.width, image.height, own, bitDepth(image));
  const alpha = bitDepth(image) === 16 ? new Uint16Array(count) : new Uint8Array(count);
  for (let i = 0, from = 0, to = 0; i < count; i++) {
    for (let c = 0; c < own; c++) colour.data[to++] = image.data[from++]!;
    alpha[i] = image.data[from++]!;
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
  const own = colour.channels < 3 ? 1 : 3;
  const out = createPixels(colour.width, colour.height, (own + 1) as 2 | 4, depth);
  for (let i = 0, from = 0, to = 0; i < count; i++, from += colour.channels) {
    for (let c = 0; c < own; c++) out.data[to++] = colour.data[from + c]!;
    out.data[to++] = plane[i]!;
  }
  return out;
}

/** Grey spread over three channels, alpha kept; RGB comes back as it is. */
export function asRgb(image: PixelImage): PixelImage {
  const { width, height, channels, data } = image;
  if (channels >= 3) return image;
  const out = createPixels(width, height, channels === 1 ? 3 : 4, bitDepth(image));
  for (let from = 0, to = 0; from < data.length; from += channels) {
    for (let c = 0; c < 3; c++) out.data[to++] = data[from]!;
    if (channels === 2) out.data[to++] = data[from + 1]!;
  }
  return out;
}

/** The first channel of RGB whose channels are alike, alpha kept; grey comes back as it is. */
export function asGrey(image: PixelImage): PixelImage {
  const { width, height, channels, data } = image;
  if (channels < 3) return image;
  const out = createPixels(width, height, channels === 3 ? 1 : 2, bitDepth(image));
  for (let from = 0, to = 0; from < data.length; from += channels) {
    out.data[to++] = data[from]!;
    if (channels === 4) out.data[to++] = data[from + 3]!;
  }
  return out;
}

/** Alpha laid over white, for formats without alpha; opaque images come back as they are. */
export function flattenOnWhite(image: PixelImage): PixelImage {
  const { colour, alpha } = splitAlpha(image);
  if (!alpha) return image;
  const full = bitDepth(image) === 16 ? 65535 : 255;
  for (let i = 0; i < colour.data.length; i++) {
    const share = alpha[Math.trunc(i / colour.channels)]! / full;
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
