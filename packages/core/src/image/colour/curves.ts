/** From an encoded value, 0…1, to linear light, where 1 is white (HDR curves go beyond it). Never falls. */
export type Curve = (value: number) => number;

/** IEC 61966-2-1. */
export const srgbCurve: Curve = (x) => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);

export const linearCurve: Curve = (x) => x;

export const gammaCurve =
  (gamma: number): Curve =>
  (x) =>
    x ** gamma;

/** Nits of diffuse white in HDR pictures (ITU-R BT.2408). */
const HDR_WHITE = 203;

/** SMPTE ST 2084, diffuse white as 1: the top, 10,000 nits, is 49. */
export const pqCurve: Curve = (x) => {
  const [m1, m2, c1, c2, c3] = [2610 / 16384, (2523 / 4096) * 128, 3424 / 4096, (2413 / 4096) * 32, (2392 / 4096) * 32];
  const power = x ** (1 / m2);
  return ((Math.max(0, power - c1) / (c2 - c3 * power)) ** (1 / m1) * 10_000) / HDR_WHITE;
};

/** ARIB STD-B67 with its system gamma of 1.2 channel by channel, diffuse white (75 % of the signal) as 1. */
export const hlgCurve: Curve = (x) => {
  const [a, b, c] = [0.17883277, 0.28466892, 0.55991073];
  const scene = (value: number) => (value <= 0.5 ? value ** 2 / 3 : (Math.exp((value - c) / a) + b) / 12);
  return (scene(x) / scene(0.75)) ** 1.2;
};

/** Points at equal distances, joined by lines: ICC's `curv`. */
export function sampledCurve(points: readonly number[]): Curve {
  const last = points.length - 1;
  return (x) => {
    const at = Math.min(last, Math.max(0, x * last));
    const below = Math.min(last - 1, Math.floor(at));
    return points[below]! + (at - below) * (points[below + 1]! - points[below]!);
  };
}

/** Steps of an inverse's table. Its domain is the fourth root, so that dark values, where curves are steep, have most of them. */
const STEPS = 4096;

/** A curve turned round: from linear light, clamped to what the curve reaches, to the encoded value 0…1. */
export function invertCurve(curve: Curve): Curve {
  const top = curve(1);
  const table = new Float32Array(STEPS + 2);
  let low = 0;
  for (let i = 0; i <= STEPS; i++) {
    const wanted = (i / STEPS) ** 4 * top;
    let high = 1;
    // Never falls, so each search begins where the last one ended.
    let from = low;
    for (let n = 0; n < 26; n++) {
      const middle = (from + high) / 2;
      if (curve(middle) < wanted) from = middle;
      else high = middle;
    }
    low = from;
    table[i] = high;
  }
  table[0] = 0;
  table[STEPS + 1] = table[STEPS]!;
  return (light) => {
    if (!(light > 0)) return 0;
    const at = Math.min(1, Math.sqrt(Math.sqrt(light / top))) * STEPS;
    const below = Math.floor(at);
    return table[below]! + (at - below) * (table[below + 1]! - table[below]!);
  };
}

/** Whether a curve rises from 0 to something and never falls: others cannot be turned round. */
export function isUsable(curve: Curve): boolean {
  let before = curve(0);
  if (!(before >= 0 && before < 0.5)) return false;
  for (let i = 1; i <= 256; i++) {
    const value = curve(i / 256);
    if (!(Number.isFinite(value) && value >= before - 1e-6)) return false;
    before = value;
  }
  return before > 0.5;
}
