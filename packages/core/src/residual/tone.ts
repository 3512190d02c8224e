/** Steps of the tables: finer than 16 bits where sRGB is steepest. */
const STEPS = 65_535;

/**
 * Exposure of a restored picture: `stops` (EV) of light more or less in the shadows, less and less towards white, which stays
 * white. In linear light, by the brightest channel, so that hues stay and nothing clips: y → g·y / (1 + (g − 1)·y), g = 2^stops.
 * Undefined where nothing is to be changed.
 */
export function exposureTone(stops = 0): ((rows: Float32Array) => void) | undefined {
  if (stops === 0) return undefined;
  const gain = 2 ** stops;
  const linear = Float32Array.from({ length: STEPS + 1 }, (_, i) => toLinear(i / STEPS));
  const encoded = Float32Array.from({ length: STEPS + 2 }, (_, i) => fromLinear(i / STEPS));
  return (rows) => {
    for (let i = 0; i < rows.length; i += 3) {
      const r = linear[Math.round(rows[i]! * STEPS)]!;
      const g = linear[Math.round(rows[i + 1]! * STEPS)]!;
      const b = linear[Math.round(rows[i + 2]! * STEPS)]!;
      const scale = (STEPS * gain) / (1 + (gain - 1) * Math.max(r, g, b));
      rows[i] = lookUp(encoded, r * scale);
      rows[i + 1] = lookUp(encoded, g * scale);
      rows[i + 2] = lookUp(encoded, b * scale);
    }
  };
}

function lookUp(table: Float32Array, at: number): number {
  const below = Math.min(STEPS, Math.floor(at));
  return table[below]! + (at - below) * (table[below + 1]! - table[below]!);
}

/** sRGB's transfer function, IEC 61966-2-1. */
function toLinear(value: number): number {
  return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
}

function fromLinear(value: number): number {
  return value <= 0.0031308 ? value * 12.92 : 1.055 * value ** (1 / 2.4) - 0.055;
}
