import { ElfinError, type FitOptions, type Header, planFit } from '@elfin/core';
import type { Plan } from '../url/transform.ts';

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

/** Everything that the header already tells, before a pixel is decoded. Errors: IMAGE_TOO_MANY_PIXELS, IMAGE_ANIMATED. */
export function checkSource(
  header: Pick<Header, 'width' | 'height' | 'frames'>,
  plan: Pick<Plan, 'result' | 'firstFrame'>,
  caps: { readonly sourcePixels: number; readonly resultSide: number },
): void {
  const { width, height, frames } = header;
  if (width * height > caps.sourcePixels) {
    throw new ElfinError(
      'IMAGE_TOO_MANY_PIXELS',
      `The source is ${width} × ${height}, more than the ${caps.sourcePixels} pixels allowed.`,
    );
  }
  if (frames > 1 && !plan.firstFrame) {
    throw new ElfinError('IMAGE_ANIMATED', `The source has ${frames} frames; ask for animated=first or use a still.`);
  }
  checkFit(header, plan.result, caps.resultSide);
}
