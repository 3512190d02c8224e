import type { PixelSource, Samples } from '../tiling/pixels.ts';

/**
 * What the network adds to a picture, at the size at which it saw it: the result is the source plus this, enlarged. One
 * residual makes every strength, exposure, size and format of a result.
 */
export interface Residual {
  /** Sides of the picture that the network saw. */
  readonly width: number;
  readonly height: number;
  /** The picture that it belongs to. */
  readonly source: { readonly width: number; readonly height: number; readonly bitDepth: 8 | 16 };
  /** `width · height · 3` whole numbers, row-major, RGB interleaved. */
  readonly data: Int16Array | Int32Array;
  /** What 1 in `data` stands for, of samples in 0…1. At the source's own size that is one level of its depth: nothing is lost. */
  readonly unit: number;
}

/** Sixteenths of a level of 8 bits: finer than what an enlarged difference can tell, and small when compressed. */
const FINE = 16;

/** The depth at which the network's output is to be kept for {@link residualOf}. */
export function keptDepth(
  source: Pick<PixelSource, 'width' | 'height' | 'bitDepth'>,
  seen: Pick<PixelSource, 'width' | 'height'>,
): 8 | 16 {
  return isFullSize(source, seen) ? source.bitDepth : 16;
}

/** Whether the network saw the picture at its own size. */
export function isFullSize(
  source: { readonly width: number; readonly height: number },
  seen: { readonly width: number; readonly height: number },
): boolean {
  return source.width === seen.width && source.height === seen.height;
}

/**
 * The difference between what the network gave and what it saw.
 * @param restored at {@link keptDepth}
 */
export function residualOf(
  source: Pick<PixelSource, 'width' | 'height' | 'bitDepth'>,
  seen: { readonly width: number; readonly height: number; readonly data: Samples },
  restored: Samples,
): Residual {
  const { width, height, data: before } = seen;
  const { bitDepth } = source;
  const common = { width, height, source: { width: source.width, height: source.height, bitDepth } };
  const length = before.length;
  if (bitDepth === 16) {
    const data = new Int32Array(length);
    for (let i = 0; i < length; i++) data[i] = restored[i]! - before[i]!;
    return { ...common, data, unit: 1 / 65535 };
  }
  const data = new Int16Array(length);
  if (!(restored instanceof Uint16Array)) {
    for (let i = 0; i < length; i++) data[i] = restored[i]! - before[i]!;
    return { ...common, data, unit: 1 / 255 };
  }
  for (let i = 0; i < length; i++) data[i] = Math.round((restored[i]! - 257 * before[i]!) / FINE);
  return { ...common, data, unit: FINE / 65535 };
}
