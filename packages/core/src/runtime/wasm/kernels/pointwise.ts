import { accumulate, madd, One, splat, Three, total, Two, VECTOR } from './vector.ts';

// Rows of whole vectors. Sizes and strides are bytes.

// @ts-ignore: decorator
@inline
function combine<Op>(a: v128, b: v128): v128 {
  if (offsetof<Op>() == 1) return f32x4.add(a, b);
  if (offsetof<Op>() == 2) return f32x4.sub(a, b);
  return f32x4.mul(a, b);
}

function both<Op>(out: usize, a: usize, b: usize, size: usize): void {
  for (let i: usize = 0; i < size; i += VECTOR) v128.store(out + i, combine<Op>(v128.load(a + i), v128.load(b + i)));
}
export function add(out: usize, a: usize, b: usize, size: usize): void { both<One>(out, a, b, size); }
export function sub(out: usize, a: usize, b: usize, size: usize): void { both<Two>(out, a, b, size); }
export function mul(out: usize, a: usize, b: usize, size: usize): void { both<Three>(out, a, b, size); }

function perChannel<Op>(out: usize, a: usize, vector: usize, stride: usize, pixels: i32): void {
  for (; pixels > 0; pixels--) {
    for (let v: usize = 0; v < stride; v += VECTOR) v128.store(out + v, combine<Op>(v128.load(a + v), v128.load(vector + v)));
    out += stride;
    a += stride;
  }
}
export function addChannels(out: usize, a: usize, vector: usize, stride: usize, pixels: i32): void { perChannel<One>(out, a, vector, stride, pixels); }
export function mulChannels(out: usize, a: usize, vector: usize, stride: usize, pixels: i32): void { perChannel<Three>(out, a, vector, stride, pixels); }

/** a·vector + b: a gate a channel and what it is added to. */
export function gateAdd(out: usize, a: usize, vector: usize, b: usize, stride: usize, pixels: i32): void {
  for (; pixels > 0; pixels--) {
    for (let v: usize = 0; v < stride; v += VECTOR) v128.store(out + v, madd(v128.load(a + v), v128.load(vector + v), v128.load(b + v)));
    out += stride;
    a += stride;
    b += stride;
  }
}

/** Every pixel by a number of its own, the first channel of another picture. */
export function mulPixels(out: usize, a: usize, by: usize, byStride: usize, stride: usize, pixels: i32): void {
  for (; pixels > 0; pixels--) {
    const x = splat(by);
    for (let v: usize = 0; v < stride; v += VECTOR) v128.store(out + v, f32x4.mul(v128.load(a + v), x));
    out += stride;
    a += stride;
    by += byStride;
  }
}

export function relu(out: usize, a: usize, size: usize): void {
  for (let i: usize = 0; i < size; i += VECTOR) v128.store(out + i, f32x4.pmax(v128.load(a + i), f32x4.splat(0)));
}

export function leakyRelu(out: usize, a: usize, size: usize, slope: f32): void {
  const k = f32x4.splat(slope);
  for (let i: usize = 0; i < size; i += VECTOR) {
    const x = v128.load(a + i);
    v128.store(out + i, v128.bitselect(x, f32x4.mul(x, k), f32x4.gt(x, f32x4.splat(0))));
  }
}

// max(x, 0) − |x|·Φ(−|x|), where Φ(−a), the normal distribution, is ½·P(a)⁻¹⁶: Abramowitz & Stegun's form (26.2.19), its
// coefficients fitted anew to the least maximal error of the whole, 2.5e-7, and 5e-7 with float32's roundings.
// @ts-ignore: decorator
@inline
function gelu4(x: v128): v128 {
  const a = f32x4.abs(x);
  let p = madd(f32x4.splat(6.33300306e-6), a, f32x4.splat(4.13837151e-5));
  p = madd(p, a, f32x4.splat(5.9718157e-5));
  p = madd(p, a, f32x4.splat(0.00324931554));
  p = madd(p, a, f32x4.splat(0.0211572964));
  p = madd(p, a, f32x4.splat(0.0498641394));
  p = madd(p, a, f32x4.splat(1));
  p = f32x4.mul(p, p);
  p = f32x4.mul(p, p);
  p = f32x4.mul(p, p);
  p = f32x4.mul(p, p);
  // pmax is one instruction where max, which orders −0 and 0, is several.
  return f32x4.sub(f32x4.pmax(x, f32x4.splat(0)), f32x4.div(f32x4.mul(a, f32x4.splat(0.5)), p));
}

export function gelu(out: usize, a: usize, size: usize): void {
  for (let i: usize = 0; i < size; i += VECTOR) v128.store(out + i, gelu4(v128.load(a + i)));
}
/** gelu(a)·b. */
export function geluMul(out: usize, a: usize, b: usize, size: usize): void {
  for (let i: usize = 0; i < size; i += VECTOR) v128.store(out + i, f32x4.mul(gelu4(v128.load(a + i)), v128.load(b + i)));
}

export function clip(out: usize, a: usize, size: usize, low: f32, high: f32): void {
  const least = f32x4.splat(low), most = f32x4.splat(high);
  for (let i: usize = 0; i < size; i += VECTOR) v128.store(out + i, f32x4.pmin(f32x4.pmax(v128.load(a + i), least), most));
}

/** Halves to even. */
export function round(out: usize, a: usize, size: usize): void {
  for (let i: usize = 0; i < size; i += VECTOR) v128.store(out + i, f32x4.nearest(v128.load(a + i)));
}

/** (x − mean x)/√(mean (x − mean x)² + ε), the means over a pixel's channels, all of which are used. */
export function normalise(out: usize, a: usize, stride: usize, pixels: i32, epsilon: f32): void {
  const share = f32x4.splat(4 / <f32>stride);
  for (; pixels > 0; pixels--) {
    let sum = f32x4.splat(0);
    for (let v: usize = 0; v < stride; v += VECTOR) sum = f32x4.add(sum, v128.load(a + v));
    const mean = f32x4.mul(total(sum), share);
    let squares = f32x4.splat(0);
    for (let v: usize = 0; v < stride; v += VECTOR) {
      const x = f32x4.sub(v128.load(a + v), mean);
      squares = madd(x, x, squares);
    }
    const scale = f32x4.div(f32x4.splat(1), f32x4.sqrt(madd(total(squares), share, f32x4.splat(epsilon))));
    for (let v: usize = 0; v < stride; v += VECTOR) v128.store(out + v, f32x4.mul(f32x4.sub(v128.load(a + v), mean), scale));
    out += stride;
    a += stride;
  }
}

/** sums[c] += Σ x over a row. */
export function sumChannels(sums: usize, a: usize, stride: usize, pixels: i32): void {
  for (let v: usize = 0; v < stride; v += VECTOR) {
    let sum = f32x4.splat(0);
    let at = a + v;
    for (let n = pixels; n > 0; n--, at += stride) sum = f32x4.add(sum, v128.load(at));
    accumulate(sums + v, sum);
  }
}
/** sums[c] += Σ x² over a row. */
export function sumSquares(sums: usize, a: usize, stride: usize, pixels: i32): void {
  for (let v: usize = 0; v < stride; v += VECTOR) {
    let sum = f32x4.splat(0);
    let at = a + v;
    for (let n = pixels; n > 0; n--, at += stride) {
      const x = v128.load(at);
      sum = madd(x, x, sum);
    }
    accumulate(sums + v, sum);
  }
}
