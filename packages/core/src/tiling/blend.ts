import { type Axis, support } from './axis.ts';

// Weights are multiples of 1/2048: a product of two then fits float32 exactly, and so does the sum of four, which is 1.
const LEVELS = 2048;

/**
 * Weights of window `index` over its {@link support}: 1 but for the seams, where a raised cosine fades to the neighbour.
 * Along an axis the weights of all windows sum to exactly 1 at every pixel; so do, over the picture, the products of
 * a column's and a row's weights (the window is separable).
 */
export function blendWeights(axis: Axis, index: number): Float32Array {
  const { start, end } = support(axis, index);
  const weights = new Float32Array(end - start).fill(1);
  const before = axis.seams[index - 1];
  const after = axis.seams[index];
  if (before) {
    const width = before.end - before.start;
    for (let i = 0; i < width; i++) weights[i] = rise(i, width);
  }
  if (after) {
    const width = after.end - after.start;
    for (let i = 0; i < width; i++) weights[after.start - start + i] = 1 - rise(i, width);
  }
  return weights;
}

function rise(i: number, width: number): number {
  return Math.round(LEVELS * Math.sin((Math.PI / 2) * ((i + 0.5) / width)) ** 2) / LEVELS;
}
