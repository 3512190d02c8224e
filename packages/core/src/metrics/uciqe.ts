import { asRgb, type PixelImage } from '../image/pixels.ts';
import { toLab } from './lab.ts';
import { byteSampler, checkSide } from './planes.ts';

/** UCIQE and what it is made of. */
export interface Uciqe {
  /** .4680 · chroma + .2745 · contrast + .2576 · saturation; higher is better. */
  readonly uciqe: number;
  /** Spread of chroma. */
  readonly chroma: number;
  /** Lightness between its first and last hundredth. */
  readonly contrast: number;
  /** Mean saturation. */
  readonly saturation: number;
}

/** Bins over which the implementation spreads lightness from its least to its most. */
const BINS = 65536;

/**
 * Underwater Colour Image Quality Evaluation (Yang, Sowmya, IEEE TIP 2015), which needs no reference. This agrees with
 * `UCIQE.py` of JOU-UIP/UCIQE (commit 02a3cf3), from the metric's own group, whose numbers around 0.4…0.65 are those that papers
 * print: 8-bit L*a*b*, a and b with their offset of 128; chroma's spread relative to its mean; contrast relative to the range of
 * lightness. Others compute it from unscaled L*a*b* and get numbers in the tens.
 * @throws OPTION_INVALID for a picture without pixels
 */
export function uciqe(image: PixelImage): Uciqe {
  checkSide(image, 1, 'UCIQE');
  const { lightness, colours, saturation, total } = count(image);
  const chromas = Float64Array.from({ length: colours.length }, (_, i) => Math.hypot(i >> 8, i & 255) / 255);
  const mean = colours.reduce((sum, n, i) => sum + n * chromas[i]!, 0) / total;
  // Where no pixel is, a chroma of 0 must not divide.
  const spread = colours.reduce((sum, n, i) => (n > 0 ? sum + n * Math.abs(1 - (mean / chromas[i]!) ** 2) : sum), 0);
  const chroma = Math.sqrt(spread / total);
  const contrast = lightnessContrast(lightness, total);
  return { uciqe: 0.468 * chroma + 0.2745 * contrast + 0.2576 * saturation, chroma, contrast, saturation };
}

/** Histograms say all that the measure needs: pictures of any size take the same memory. */
function count(given: PixelImage) {
  const image = asRgb(given);
  const sample = byteSampler(image);
  const lab = new Uint8Array(3);
  const lightness = new Float64Array(256);
  const colours = new Float64Array(65536);
  const total = image.width * image.height;
  let saturation = 0;
  for (let at = 0; at < total * image.channels; at += image.channels) {
    toLab(sample(at), sample(at + 1), sample(at + 2), lab);
    const [L, a, b] = lab as unknown as [number, number, number];
    lightness[L]! += 1;
    colours[(a << 8) | b]! += 1;
    const square = a * a + b * b;
    saturation += Math.sqrt(square / (square + L * L));
  }
  return { lightness, colours, saturation: saturation / total, total };
}

function lightnessContrast(lightness: Float64Array, total: number): number {
  const least = lightness.findIndex((n) => n > 0);
  const most = lightness.findLastIndex((n) => n > 0);
  if (least === most) return 0;
  let seen = 0;
  let low: number | undefined;
  let high: number | undefined;
  for (const [level, n] of lightness.entries()) {
    seen += n;
    if (seen / total > 0.01) low ??= level;
    if (seen / total >= 0.99) high ??= level;
  }
  const bin = (level: number) => Math.min(Math.floor(((level - least) / (most - least)) * BINS), BINS - 1);
  return (bin(high!) - bin(low!)) / (BINS - 1);
}
