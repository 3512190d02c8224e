import { ElfinError, type FitOptions, planFit } from '@elfin/core';

/**
 * Refuses what would be larger than `side` on either side, or scaled to more than `side`² pixels before it is cut: a strip
 * of two pixels' width that is to cover a square is enlarged as a whole. Errors: IMAGE_TOO_MANY_PIXELS.
 */
export function checkFit(
  image: { readonly width: number; readonly height: number },
  wanted: FitOptions,
  side: number,
): void {
  const { width, height, scale } = planFit(image, wanted);
  if (Math.max(width, height) > side) {
    throw new ElfinError(
      'IMAGE_TOO_MANY_PIXELS',
      `The result would be ${width} × ${height}; ask for a width and height of at most ${side}.`,
    );
  }
  if (scale.width * scale.height > side * side) {
    throw new ElfinError(
      'IMAGE_TOO_MANY_PIXELS',
      `The source would be scaled to ${scale.width} × ${scale.height} before it is cut; ask for another fit.`,
    );
  }
}
