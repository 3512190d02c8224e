import { type Curve, gammaCurve, hlgCurve, linearCurve, pqCurve, srgbCurve } from './curves.ts';
import { type Chromaticities, colorantsOf, type Matrix } from './matrix.ts';

/** What a picture's numbers mean: a curve for each channel, and where its primaries lie. */
export interface ColourSpace {
  /** As people call it. */
  readonly name: string;
  /** One channel: `colorants` are idle. */
  readonly grey: boolean;
  readonly curves: readonly [Curve, Curve, Curve];
  /** Linear RGB to XYZ, adapted to D50 as ICC profiles are. */
  readonly colorants: Matrix;
}

/** Code points of ITU-T H.273, as PNG's `cICP`, AVIF's `nclx` and JPEG XL carry them. */
export interface Cicp {
  readonly primaries: number;
  readonly transfer: number;
  readonly matrix: number;
  readonly fullRange: boolean;
}

const D65 = [0.3127, 0.329] as const;

const PRIMARIES: Readonly<Record<number, readonly [string, Chromaticities]>> = {
  1: ['sRGB', [...D65, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06]],
  4: ['BT.470 M', [0.31, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08]],
  5: ['BT.601 (625)', [...D65, 0.64, 0.33, 0.29, 0.6, 0.15, 0.06]],
  6: ['BT.601 (525)', [...D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07]],
  7: ['SMPTE 240M', [...D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07]],
  9: ['Rec. 2020', [...D65, 0.708, 0.292, 0.17, 0.797, 0.131, 0.046]],
  11: ['DCI-P3', [0.314, 0.351, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06]],
  12: ['Display P3', [...D65, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06]],
};

/**
 * Curves by H.273's code points. Those of video (1, 6, 14, 15) count as sRGB's, as in every browser: stills tagged so were made to
 * be shown that way.
 */
const TRANSFERS: Readonly<Record<number, readonly [string, Curve]>> = {
  1: ['', srgbCurve],
  4: ['gamma 2.2', gammaCurve(2.2)],
  5: ['gamma 2.8', gammaCurve(2.8)],
  6: ['', srgbCurve],
  8: ['linear', linearCurve],
  13: ['', srgbCurve],
  14: ['', srgbCurve],
  15: ['', srgbCurve],
  16: ['PQ', pqCurve],
  18: ['HLG', hlgCurve],
};

/** What "unspecified" (2) means for a still. */
const UNSPECIFIED = { primaries: 1, transfer: 13 } as const;

/** The space of these code points; undefined for those that are not known here. */
export function spaceOfCicp({ primaries, transfer }: Cicp, grey = false): ColourSpace | undefined {
  const found = PRIMARIES[primaries === 2 ? UNSPECIFIED.primaries : primaries];
  const curve = TRANSFERS[transfer === 2 ? UNSPECIFIED.transfer : transfer];
  const colorants = found && colorantsOf(found[1]);
  if (!curve || !colorants) return undefined;
  const name = [found[0], curve[0]].filter(Boolean).join(', ');
  return { name, grey, curves: [curve[1], curve[1], curve[1]], colorants };
}

/** Whether a picture in this encoding has light above white, for which JPEG, WebP and 8 bits have no place. */
export function isHdr(cicp: Cicp | undefined): boolean {
  return cicp?.transfer === 16 || cicp?.transfer === 18;
}

export const SRGB: ColourSpace = spaceOfCicp({ primaries: 1, transfer: 13, matrix: 0, fullRange: true })!;

/** PNG's `gAMA` (exponent of encoding, about 0.45455 in common files) with `cHRM`, where it is there. */
export function spaceOfGamma(
  gamma: number | undefined,
  chromaticities: Chromaticities | undefined,
  grey: boolean,
): ColourSpace | undefined {
  // Writers put 1/2.2 for sRGB, whose curve no single number describes.
  const common = gamma === undefined || Math.abs(gamma - 1 / 2.2) < 0.005;
  const curve = common ? srgbCurve : gammaCurve(1 / gamma);
  const colorants = chromaticities ? colorantsOf(chromaticities) : SRGB.colorants;
  if (!colorants || (gamma !== undefined && !(gamma > 0.05 && gamma < 20))) return undefined;
  const name = common ? 'RGB of its own primaries' : `gamma ${(1 / gamma).toFixed(2)}`;
  return { name, grey, curves: [curve, curve, curve], colorants };
}

/** Whether code points say no more than what is understood without any: sRGB. */
export function isPlain(cicp: Cicp): boolean {
  const plain = [1, 2];
  return plain.includes(cicp.primaries) && [1, 2, 6, 13, 14, 15].includes(cicp.transfer);
}
