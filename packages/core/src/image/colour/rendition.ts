import type { Samples } from '../../tiling/pixels.ts';
import { type Curve, invertCurve, srgbCurve } from './curves.ts';
import { invert, type Matrix, multiply } from './matrix.ts';
import { type ColourSpace, SRGB } from './space.ts';

/**
 * Between a picture's own numbers and the sRGB rendition that the network sees. Pixels are interleaved, without alpha: one
 * sample each for grey, three else; shown ones have always three.
 */
export interface Rendition {
  /** The pixels as sRGB at the same depth; what sRGB cannot show is clipped. */
  show(own: Samples): Samples;
  /**
   * The pixels with what was changed between two renditions of them: own + encode(after) − encode(before). Where nothing
   * changed they stay exactly as they were, and colours beyond sRGB keep what lies beyond.
   */
  carry(own: Samples, before: Samples, after: Samples): Samples;
}

/** Rec. 709 luma, for what a network made of a grey picture. */
const LUMA = [0.2126, 0.7152, 0.0722] as const;

/** Half a level of 8 bits; what is nearer to sRGB than that is sRGB. */
const NEAR = 0.5 / 255;

const encodeSrgb = (x: number) => (x <= 0.0031308 ? 12.92 * x : 1.055 * x ** (1 / 2.4) - 0.055);

/** Whether numbers of this space can be taken as sRGB, so that no rendition is needed. */
export function isSrgb(space: ColourSpace): boolean {
  for (let i = 0; i <= 32; i++) {
    if (space.curves.some((curve) => Math.abs(encodeSrgb(Math.max(0, curve(i / 32))) - i / 32) > NEAR)) return false;
  }
  const { colorants } = space;
  return space.grey || SRGB.colorants.every((value, i) => Math.abs(value - colorants[i]!) < 0.002);
}

/** Spaces share their tables as long as they are in use: those of a phone's photos are all alike. */
const kept = new WeakMap<ColourSpace, Map<8 | 16, Rendition>>();

export function createRendition(space: ColourSpace, depth: 8 | 16): Rendition {
  const known = kept.get(space) ?? new Map<8 | 16, Rendition>();
  kept.set(space, known);
  const rendition = known.get(depth) ?? build(space, depth);
  known.set(depth, rendition);
  return rendition;
}

function build(space: ColourSpace, depth: 8 | 16): Rendition {
  if (space.grey) return isSrgb(space) ? plainGrey(depth) : greyRendition(space, depth);
  return rgbRendition(space, depth);
}

function allocate(depth: 8 | 16, length: number): Samples {
  return depth === 16 ? new Uint16Array(length) : new Uint8Array(length);
}

/** A curve at every value that a sample may have. */
function tabulate(curve: Curve, most: number): Float32Array {
  return Float32Array.from({ length: most + 1 }, (_, i) => curve(i / most));
}

/** Linear light, clipped to 0…1, as an sRGB sample. Fine enough for 16 bits: sRGB is straight where steps would show. */
function createEncoder(most: number): (light: number) => number {
  const steps = 16_384;
  const table = Float32Array.from({ length: steps + 2 }, (_, i) => encodeSrgb(Math.min(1, i / steps)) * most);
  return (light) => {
    if (!(light > 0)) return 0;
    const at = Math.min(1, light) * steps;
    const below = Math.floor(at);
    return table[below]! + (at - below) * (table[below + 1]! - table[below]!) + 0.5;
  };
}

function clamp(value: number, most: number): number {
  return Math.min(most, Math.max(0, value));
}

/** Grey numbers that may be taken as sRGB: tripled, and back by the luma of what changed. */
function plainGrey(depth: 8 | 16): Rendition {
  const most = depth === 16 ? 65_535 : 255;
  return {
    show: (own) => triple(own, depth, (value) => value),
    carry(own, before, after) {
      const out = allocate(depth, own.length);
      for (let i = 0, at = 0; i < own.length; i++, at += 3) {
        out[i] = clamp(own[i]! + lumaAt(after, at) - before[at]! + 0.5, most);
      }
      return out;
    },
  };
}

function lumaAt(samples: Samples, at: number): number {
  const [r, g, b] = [samples[at]!, samples[at + 1]!, samples[at + 2]!];
  // Exact where the channels are alike.
  return g + LUMA[0] * (r - g) + LUMA[2] * (b - g);
}

/** Shown pixels as one channel. */
export function lumaOf(shown: Samples): Samples {
  const out = allocate(shown instanceof Uint16Array ? 16 : 8, shown.length / 3);
  for (let i = 0; i < out.length; i++) out[i] = lumaAt(shown, 3 * i) + 0.5;
  return out;
}

function triple(own: Samples, depth: 8 | 16, shown: (value: number) => number): Samples {
  const out = allocate(depth, own.length * 3);
  for (let i = 0, to = 0; i < own.length; i++) {
    const value = shown(own[i]!);
    out[to++] = value;
    out[to++] = value;
    out[to++] = value;
  }
  return out;
}

function greyRendition({ curves: [curve] }: ColourSpace, depth: 8 | 16): Rendition {
  const most = depth === 16 ? 65_535 : 255;
  const encode = createEncoder(most);
  const table = tabulate(curve, most).map(encode);
  const own = invertCurve(curve);
  const back = (shown: number) => own(srgbCurve(shown / most)) * most;
  return {
    show: (samples) => triple(samples, depth, (value) => table[value]!),
    carry(samples, before, after) {
      const out = allocate(depth, samples.length);
      for (let i = 0, at = 0; i < samples.length; i++, at += 3) {
        const luma = lumaAt(after, at);
        out[i] = luma === before[at] ? samples[i]! : clamp(samples[i]! + back(luma) - back(before[at]!) + 0.5, most);
      }
      return out;
    },
  };
}

function rgbRendition({ curves, colorants }: ColourSpace, depth: 8 | 16): Rendition {
  const most = depth === 16 ? 65_535 : 255;
  const to = multiply(invert(SRGB.colorants)!, colorants);
  const from = invert(to)!;
  const encode = createEncoder(most);
  const shared = new Map<Curve, { light: Float32Array; own: Curve }>();
  const channels = curves.map((curve) => {
    const tables = shared.get(curve) ?? { light: tabulate(curve, most), own: invertCurve(curve) };
    shared.set(curve, tables);
    return tables;
  });
  const [r, g, b] = channels as [(typeof channels)[0], (typeof channels)[0], (typeof channels)[0]];
  const linear = tabulate(srgbCurve, most);
  const back = (shown: Samples, at: number, m: Matrix, into: Float64Array) => {
    const [x, y, z] = [linear[shown[at]!]!, linear[shown[at + 1]!]!, linear[shown[at + 2]!]!];
    into[0] = r.own(m[0] * x + m[1] * y + m[2] * z) * most;
    into[1] = g.own(m[3] * x + m[4] * y + m[5] * z) * most;
    into[2] = b.own(m[6] * x + m[7] * y + m[8] * z) * most;
  };
  return {
    show(own) {
      const out = allocate(depth, own.length);
      for (let i = 0; i < own.length; i += 3) {
        const [x, y, z] = [r.light[own[i]!]!, g.light[own[i + 1]!]!, b.light[own[i + 2]!]!];
        out[i] = encode(to[0] * x + to[1] * y + to[2] * z);
        out[i + 1] = encode(to[3] * x + to[4] * y + to[5] * z);
        out[i + 2] = encode(to[6] * x + to[7] * y + to[8] * z);
      }
      return out;
    },
    carry(own, before, after) {
      const out = own.slice();
      const [was, is] = [new Float64Array(3), new Float64Array(3)];
      for (let i = 0; i < own.length; i += 3) {
        if (before[i] === after[i] && before[i + 1] === after[i + 1] && before[i + 2] === after[i + 2]) continue;
        back(before, i, from, was);
        back(after, i, from, is);
        for (let c = 0; c < 3; c++) out[i + c] = clamp(own[i + c]! + is[c]! - was[c]! + 0.5, most);
      }
      return out;
    },
  };
}
