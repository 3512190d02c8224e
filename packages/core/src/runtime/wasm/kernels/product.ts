import { accumulate, FLOAT, Four, madd, One, Six, splat, Two, VECTOR } from './vector.ts';

// Products of many pixels by one small matrix, which is packed in panels of eight columns (the last may be four wide). A tile of
// 6×8 sums, its operands included, fills sixteen registers; 8×8 spills.

/** Rows × columns of sums, columns in vectors. Every segment is `depth` floats at one of three addresses, for the rows of a 3×3. */
function tile<R, V>(out: usize, outStride: usize, a0: usize, a1: usize, a2: usize, aStride: usize, depth: usize, b: usize, start: usize): void {
  let s00: v128, s01: v128;
  s00 = start ? v128.load(start) : f32x4.splat(0);
  s01 = s00;
  if (offsetof<V>() > 1) s01 = start ? v128.load(start, 16) : f32x4.splat(0);
  let s10 = s00, s20 = s00, s30 = s00, s40 = s00, s50 = s00;
  let s11 = s01, s21 = s01, s31 = s01, s41 = s01, s51 = s01;
  let from = a0;
  for (let segment = 0; segment < 3; segment++) {
    let p0 = from;
    let p1 = p0 + aStride, p2 = p1 + aStride, p3 = p2 + aStride, p4 = p3 + aStride, p5 = p4 + aStride;
    const end = p0 + depth;
    for (; p0 < end; ) {
      const b0 = v128.load(b);
      let b1 = b0;
      if (offsetof<V>() > 1) b1 = v128.load(b, 16);
      let x = splat(p0);
      s00 = madd(x, b0, s00); if (offsetof<V>() > 1) s01 = madd(x, b1, s01);
      if (offsetof<R>() > 1) {
        x = splat(p1); s10 = madd(x, b0, s10); if (offsetof<V>() > 1) s11 = madd(x, b1, s11);
        x = splat(p2); s20 = madd(x, b0, s20); if (offsetof<V>() > 1) s21 = madd(x, b1, s21);
        x = splat(p3); s30 = madd(x, b0, s30); if (offsetof<V>() > 1) s31 = madd(x, b1, s31);
      }
      if (offsetof<R>() > 4) {
        x = splat(p4); s40 = madd(x, b0, s40); if (offsetof<V>() > 1) s41 = madd(x, b1, s41);
        x = splat(p5); s50 = madd(x, b0, s50); if (offsetof<V>() > 1) s51 = madd(x, b1, s51);
      }
      b += VECTOR * offsetof<V>();
      p0 += FLOAT;
      if (offsetof<R>() > 1) { p1 += FLOAT; p2 += FLOAT; p3 += FLOAT; }
      if (offsetof<R>() > 4) { p4 += FLOAT; p5 += FLOAT; }
    }
    if (segment == 0) from = a1; else from = a2;
    if (!from) break;
  }
  v128.store(out, s00); if (offsetof<V>() > 1) v128.store(out, s01, 16);
  if (offsetof<R>() > 1) {
    out += outStride; v128.store(out, s10); if (offsetof<V>() > 1) v128.store(out, s11, 16);
    out += outStride; v128.store(out, s20); if (offsetof<V>() > 1) v128.store(out, s21, 16);
    out += outStride; v128.store(out, s30); if (offsetof<V>() > 1) v128.store(out, s31, 16);
  }
  if (offsetof<R>() > 4) {
    out += outStride; v128.store(out, s40); if (offsetof<V>() > 1) v128.store(out, s41, 16);
    out += outStride; v128.store(out, s50); if (offsetof<V>() > 1) v128.store(out, s51, 16);
  }
}

function panel<V>(out: usize, outStride: usize, a0: usize, a1: usize, a2: usize, aStride: usize, depth: usize, b: usize, start: usize, pixels: i32): void {
  while (pixels > 0) {
    let rows: i32 = 1;
    // 8 = 4 + 4 and 10 = 6 + 4: single rows are left only of odd numbers and of two.
    if (pixels == 6 || pixels >= 10) {
      rows = 6;
      tile<Six, V>(out, outStride, a0, a1, a2, aStride, depth, b, start);
    } else if (pixels >= 4) {
      rows = 4;
      tile<Four, V>(out, outStride, a0, a1, a2, aStride, depth, b, start);
    } else tile<One, V>(out, outStride, a0, a1, a2, aStride, depth, b, start);
    pixels -= rows;
    out += <usize>rows * outStride;
    const step = <usize>rows * aStride;
    a0 += step;
    if (a1) { a1 += step; a2 += step; }
  }
}

/**
 * out[p][j] = start[j] + Σ a[p][i]·b[i][j] over one segment of `depth` bytes at a0, or three. Strides are bytes from pixel to pixel.
 * `columns` is a multiple of four, `start` may be 0.
 */
export function product(out: usize, outStride: usize, a0: usize, a1: usize, a2: usize, aStride: usize, depth: usize, b: usize, start: usize, columns: i32, pixels: i32): void {
  const all: usize = a1 ? 3 * depth : depth;
  for (; columns >= 8; columns -= 8) {
    panel<Two>(out, outStride, a0, a1, a2, aStride, depth, b, start, pixels);
    b += 8 * all;
    out += 2 * VECTOR;
    if (start) start += 2 * VECTOR;
  }
  if (columns > 0) panel<One>(out, outStride, a0, a1, a2, aStride, depth, b, start, pixels);
}

/** Packs a matrix [columns][depth] of floats for {@link product}: depth outermost within a panel. */
export function pack(out: usize, from: usize, columns: i32, depth: i32): void {
  for (let j = 0; j < columns; j += 8) {
    const width = min(8, columns - j);
    for (let i = 0; i < depth; i++) {
      for (let k = 0; k < width; k++) {
        f32.store(out, f32.load(from + 4 * <usize>((j + k) * depth + i)));
        out += 4;
      }
    }
  }
}

function outer<V>(sums: usize, sumStride: usize, q: usize, qStride: usize, k: usize, kStride: usize, pixels: i32): void {
  let s00 = f32x4.splat(0), s10 = s00, s20 = s00, s30 = s00;
  let s01 = s00, s11 = s00, s21 = s00, s31 = s00;
  for (; pixels > 0; pixels--) {
    const b0 = v128.load(k);
    let b1 = b0;
    if (offsetof<V>() > 1) b1 = v128.load(k, 16);
    let x = v128.load_splat<f32>(q, 0);
    s00 = madd(x, b0, s00); if (offsetof<V>() > 1) s01 = madd(x, b1, s01);
    x = v128.load_splat<f32>(q, 4);
    s10 = madd(x, b0, s10); if (offsetof<V>() > 1) s11 = madd(x, b1, s11);
    x = v128.load_splat<f32>(q, 8);
    s20 = madd(x, b0, s20); if (offsetof<V>() > 1) s21 = madd(x, b1, s21);
    x = v128.load_splat<f32>(q, 12);
    s30 = madd(x, b0, s30); if (offsetof<V>() > 1) s31 = madd(x, b1, s31);
    q += qStride;
    k += kStride;
  }
  accumulate(sums, s00); if (offsetof<V>() > 1) accumulate(sums + VECTOR, s01);
  sums += sumStride;
  accumulate(sums, s10); if (offsetof<V>() > 1) accumulate(sums + VECTOR, s11);
  sums += sumStride;
  accumulate(sums, s20); if (offsetof<V>() > 1) accumulate(sums + VECTOR, s21);
  sums += sumStride;
  accumulate(sums, s30); if (offsetof<V>() > 1) accumulate(sums + VECTOR, s31);
}

/** sums[h][i][j] += Σ over pixels q[p][h·d + i]·k[p][h·d + j]; d a multiple of four. A row is summed by itself: fewer roundings. */
export function gram(sums: usize, q: usize, qStride: usize, k: usize, kStride: usize, heads: i32, d: i32, pixels: i32): void {
  const row = <usize>d * 4;
  for (let head = 0; head < heads; head++) {
    for (let i = 0; i < d; i += 4) {
      let j = 0;
      for (; j + 8 <= d; j += 8) outer<Two>(sums + j * 4, row, q + i * 4, qStride, k + j * 4, kStride, pixels);
      if (j < d) outer<One>(sums + j * 4, row, q + i * 4, qStride, k + j * 4, kStride, pixels);
      sums += 4 * row;
    }
    q += row;
    k += row;
  }
}
