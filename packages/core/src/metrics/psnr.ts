import type { PixelImage } from '../image/pixels.ts';
import { checkPair, type MetricSpace, planesOf } from './planes.ts';

/**
 * Peak signal-to-noise ratio in dB against a peak of 255, over all pixels, no border cropped; infinite for equal pictures.
 * `rgb` is of the error over all three channels together. The protocol of MPRNet's `evaluate_PSNR_SSIM.m`.
 * @throws OPTION_INVALID for pictures of two sizes
 */
export function psnr(image: PixelImage, reference: PixelImage, space: MetricSpace = 'y'): number {
  checkPair(image, reference, 1, 'PSNR');
  const [a, b] = [planesOf(image, space), planesOf(reference, space)];
  const [rowA, rowB] = [new Float64Array(a.width), new Float64Array(a.width)];
  let sum = 0;
  for (let plane = 0; plane < a.count; plane++) {
    for (let y = 0; y < a.height; y++) {
      a.row(plane, y, rowA);
      b.row(plane, y, rowB);
      for (let x = 0; x < a.width; x++) sum += (rowA[x]! - rowB[x]!) ** 2;
    }
  }
  return 10 * Math.log10(255 ** 2 / (sum / (a.count * a.width * a.height)));
}
