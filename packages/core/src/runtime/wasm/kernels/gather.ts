import { madd, VECTOR } from './vector.ts';

// What moves pixels from one grid to another. Sizes and strides are bytes.

/** `floats` floats of every pixel, from pixels `fromStride` apart to pixels `outStride` apart. */
export function copy(out: usize, outStride: usize, from: usize, fromStride: usize, floats: i32, pixels: i32): void {
  if (floats % 4 == 0) {
    const size = <usize>floats * 4;
    for (; pixels > 0; pixels--) {
      for (let v: usize = 0; v < size; v += VECTOR) v128.store(out + v, v128.load(from + v));
      out += outStride;
      from += fromStride;
    }
  } else {
    for (; pixels > 0; pixels--) {
      for (let i: usize = 0; i < <usize>floats * 4; i += 4) f32.store(out + i, f32.load(from + i));
      out += outStride;
      from += fromStride;
    }
  }
}

/**
 * A row of a bilinear resizing by `factor`, half-pixel centres: between the rows `top` and `bottom`, `down` of the way, and between
 * the columns on either side. Rows have `width` pixels.
 */
export function resize(out: usize, top: usize, bottom: usize, down: f32, factor: f32, stride: usize, width: i32, pixels: i32): void {
  const y = f32x4.splat(down);
  for (let x = 0; x < pixels; x++) {
    const at = (<f32>x + 0.5) / factor - 0.5;
    const whole = <i32>floor(at);
    const left = <usize>max(whole, 0) * stride, right = <usize>min(whole + 1, width - 1) * stride;
    const across = f32x4.splat(at - <f32>whole);
    for (let v: usize = 0; v < stride; v += VECTOR) {
      const a = v128.load(top + left + v), b = v128.load(bottom + left + v);
      const c = v128.load(top + right + v), d = v128.load(bottom + right + v);
      const l = madd(f32x4.sub(b, a), y, a), r = madd(f32x4.sub(d, c), y, c);
      v128.store(out + v, madd(f32x4.sub(r, l), across, l));
    }
    out += stride;
  }
}

/** One row of a pixel shuffle by two: output channel c of column 2x + b is input channel 4c + 2·row + b of column x. */
export function depthToSpace(out: usize, outStride: usize, from: usize, fromStride: usize, row: i32, channels: i32, pixels: i32): void {
  for (; pixels > 0; pixels--) {
    for (let b = 0; b < 2; b++) {
      let at = from + 4 * <usize>(2 * row + b);
      for (let c: usize = 0; c < <usize>channels * 4; c += 4, at += 16) f32.store(out + c, f32.load(at));
      out += outStride;
    }
    from += fromStride;
  }
}
