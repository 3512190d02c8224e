import { Four, madd, One, VECTOR } from './vector.ts';

// Four neighbours share the taps and most of what is read. Addresses of rows are those of the pixel left of the first.

function pixelsOf<R>(out: usize, up: usize, mid: usize, low: usize, taps: usize, start: usize, stride: usize): void {
  for (let v: usize = 0; v < stride; v += VECTOR) {
    let s0 = start ? v128.load(start + v) : f32x4.splat(0);
    let s1 = s0, s2 = s0, s3 = s0;
    let row = up + v, tap = taps + v;
    for (let i = 0; i < 3; i++) {
      const k0 = v128.load(tap), k1 = v128.load(tap + stride), k2 = v128.load(tap + 2 * stride);
      tap += 3 * stride;
      let at = row;
      let x = v128.load(at);
      s0 = madd(x, k0, s0);
      at += stride;
      x = v128.load(at);
      s0 = madd(x, k1, s0);
      if (offsetof<R>() > 1) s1 = madd(x, k0, s1);
      at += stride;
      x = v128.load(at);
      s0 = madd(x, k2, s0);
      if (offsetof<R>() > 1) {
        s1 = madd(x, k1, s1);
        s2 = madd(x, k0, s2);
        at += stride;
        x = v128.load(at);
        s1 = madd(x, k2, s1);
        s2 = madd(x, k1, s2);
        s3 = madd(x, k0, s3);
        at += stride;
        x = v128.load(at);
        s2 = madd(x, k2, s2);
        s3 = madd(x, k1, s3);
        at += stride;
        x = v128.load(at);
        s3 = madd(x, k2, s3);
      }
      row = (i == 0 ? mid : low) + v;
    }
    let to = out + v;
    v128.store(to, s0);
    if (offsetof<R>() > 1) {
      to += stride; v128.store(to, s1);
      to += stride; v128.store(to, s2);
      to += stride; v128.store(to, s3);
    }
  }
}

/** Each channel by its own 3×3: taps are [9][channels]; `stride` is bytes from pixel to pixel, the same in and out. */
export function depthwise(out: usize, up: usize, mid: usize, low: usize, taps: usize, start: usize, stride: usize, pixels: i32): void {
  for (; pixels >= 4; pixels -= 4) {
    pixelsOf<Four>(out, up, mid, low, taps, start, stride);
    out += 4 * stride; up += 4 * stride; mid += 4 * stride; low += 4 * stride;
  }
  for (; pixels > 0; pixels--) {
    pixelsOf<One>(out, up, mid, low, taps, start, stride);
    out += stride; up += stride; mid += stride; low += stride;
  }
}
