// What all kernels are written in: four floats at a time. The module is compiled twice, with relaxed SIMD and without.

/** Bytes of a float and of a vector of four. */
export const FLOAT: usize = 4;
export const VECTOR: usize = 16;

// AssemblyScript has no numbers as type parameters: the size of one of these is the number, known to the compiler.
@unmanaged export class One { a: u8; }
@unmanaged export class Two { a: u8; b: u8; }
@unmanaged export class Three { a: u8; b: u8; c: u8; }
@unmanaged export class Four { a: u16; b: u16; }
@unmanaged export class Six { a: u16; b: u16; c: u16; }

/** a·b + c, rounded once where the machine has it so. */
// @ts-ignore: decorator
@inline
export function madd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(f32x4.mul(a, b), c);
}

/** One float in all four places. */
// @ts-ignore: decorator
@inline
export function splat(at: usize): v128 {
  return v128.load_splat<f32>(at);
}

/** The sum of the four, in all four places. */
// @ts-ignore: decorator
@inline
export function total(x: v128): v128 {
  const pairs = f32x4.add(x, v128.shuffle<f32>(x, x, 2, 3, 0, 1));
  return f32x4.add(pairs, v128.shuffle<f32>(pairs, pairs, 1, 0, 3, 2));
}

/** Adds `s` to the four floats at `to`. */
// @ts-ignore: decorator
@inline
export function accumulate(to: usize, s: v128): void {
  v128.store(to, f32x4.add(v128.load(to), s));
}
