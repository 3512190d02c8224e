// Weights as the kernels read them, with zeros for the channels that pad a pixel to whole vectors.

/**
 * A convolution [columns, channels, size, size] for `product`: panels of eight columns (the last may be four), within them rows of
 * the kernel, its columns, and channels, outermost first. `padded` channels a pixel.
 */
export function packConvolution(
  weight: ArrayLike<number>,
  columns: number,
  channels: number,
  size: number,
  padded: number,
): Float32Array {
  const taps = size * size;
  const all = Math.ceil(columns / 4) * 4;
  const packed = new Float32Array(all * taps * padded);
  let to = 0;
  for (let j = 0; j < all; j += 8) {
    const width = Math.min(8, all - j);
    for (let tap = 0; tap < taps; tap++) {
      for (let i = 0; i < padded; i++, to += width) {
        for (let k = 0; k < width && i < channels && j + k < columns; k++) {
          packed[to + k] = weight[((j + k) * channels + i) * taps + tap]!;
        }
      }
    }
  }
  return packed;
}

/** A depthwise 3×3 [channels, 1, 3, 3] as [9, padded]. */
export function spreadTaps(weight: ArrayLike<number>, channels: number, padded: number): Float32Array {
  const spread = new Float32Array(9 * padded);
  for (let c = 0; c < channels; c++) for (let tap = 0; tap < 9; tap++) spread[tap * padded + c] = weight[c * 9 + tap]!;
  return spread;
}
