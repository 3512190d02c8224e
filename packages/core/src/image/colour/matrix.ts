/** Three rows of three, row by row. */
export type Matrix = readonly [number, number, number, number, number, number, number, number, number];

export type Triple = readonly [number, number, number];

export function multiply(a: Matrix, b: Matrix): Matrix {
  const at = (row: number, column: number) =>
    a[3 * row]! * b[column]! + a[3 * row + 1]! * b[3 + column]! + a[3 * row + 2]! * b[6 + column]!;
  return [at(0, 0), at(0, 1), at(0, 2), at(1, 0), at(1, 1), at(1, 2), at(2, 0), at(2, 1), at(2, 2)];
}

export function apply(m: Matrix, [x, y, z]: Triple): Triple {
  return [m[0] * x + m[1] * y + m[2] * z, m[3] * x + m[4] * y + m[5] * z, m[6] * x + m[7] * y + m[8] * z];
}

/** Undefined where the matrix cannot be turned round. */
export function invert([a, b, c, d, e, f, g, h, i]: Matrix): Matrix | undefined {
  const [A, B, C] = [e * i - f * h, f * g - d * i, d * h - e * g];
  const determinant = a * A + b * B + c * C;
  if (!(Math.abs(determinant) > 1e-9)) return undefined;
  const raw = [A, c * h - b * i, b * f - c * e, B, a * i - c * g, c * d - a * f, C, b * g - a * h, a * e - b * d];
  return raw.map((value) => value / determinant) as unknown as Matrix;
}

/** A chromaticity (x, y) as XYZ with Y = 1. */
export function xyz([x, y]: readonly [number, number]): Triple {
  return [x / y, 1, (1 - x - y) / y];
}

/** White of ICC's connection space. */
export const D50: Triple = [0.9642, 1, 0.8249];

const BRADFORD: Matrix = [0.8951, 0.2664, -0.1614, -0.7502, 1.7135, 0.0367, 0.0389, -0.0685, 1.0296];

/** Adapts XYZ of one white to D50 (Bradford). */
function adaptToD50(white: Triple): Matrix {
  const [from, to] = [apply(BRADFORD, white), apply(BRADFORD, D50)];
  const scale: Matrix = [to[0] / from[0], 0, 0, 0, to[1] / from[1], 0, 0, 0, to[2] / from[2]];
  return multiply(invert(BRADFORD)!, multiply(scale, BRADFORD));
}

/** White, red, green and blue as chromaticities. */
export type Chromaticities = readonly [number, number, number, number, number, number, number, number];

/** From linear RGB of these primaries to XYZ adapted to D50; undefined where they span nothing. */
export function colorantsOf([wx, wy, rx, ry, gx, gy, bx, by]: Chromaticities): Matrix | undefined {
  if (![wy, ry, gy, by].every((y) => y > 0)) return undefined;
  const [r, g, b, white] = [xyz([rx, ry]), xyz([gx, gy]), xyz([bx, by]), xyz([wx, wy])];
  const primaries: Matrix = [r[0], g[0], b[0], r[1], g[1], b[1], r[2], g[2], b[2]];
  const inverse = invert(primaries);
  if (!inverse) return undefined;
  const [sr, sg, sb] = apply(inverse, white);
  const scaled = multiply(primaries, [sr, 0, 0, 0, sg, 0, 0, 0, sb]);
  return multiply(adaptToD50(white), scaled);
}
