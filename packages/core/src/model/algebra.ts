import type { Weight } from '../graph/graph.ts';

// Exact rearrangements of convolution weights [out, in/groups, k, k], made once at emission, in float64.

/** Output channels `from` to `to` (exclusive), followed by zeros up to `padded` channels. */
export function outputs(weight: Weight, from: number, to: number, padded = to - from): Weight {
  const row = weight.data.length / weight.shape[0]!;
  const data = new Float64Array(padded * row);
  data.set(weight.data.subarray(from * row, to * row));
  return { name: `${weight.name}[${from}:${to}]`, shape: weight.shape.with(0, padded), data };
}

/** Zeros appended to the input channels, up to `padded`. */
export function padInputs(weight: Weight, padded: number): Weight {
  const [out, into, ...kernel] = weight.shape as [number, number, number, number];
  if (padded === into) return weight;
  const taps = kernel[0] * kernel[1];
  const data = new Float64Array(out * padded * taps);
  for (let o = 0; o < out; o++)
    data.set(weight.data.subarray(o * into * taps, (o + 1) * into * taps), o * padded * taps);
  return { ...weight, shape: weight.shape.with(1, padded), data };
}

/** Output channel i of the result is channel `order(i)` of the weight. */
export function permuteOutputs(weight: Weight, order: (channel: number) => number): Weight {
  const row = weight.data.length / weight.shape[0]!;
  const data = new Float64Array(weight.data.length);
  for (let o = 0; o < weight.shape[0]!; o++)
    data.set(weight.data.subarray(order(o) * row, (order(o) + 1) * row), o * row);
  return { ...weight, data };
}

/** W·(gain · x + shift) as W'·x + b, for 1×1 weights. */
export function foldNorm(weight: Weight, gain: Weight, shift: Weight): { weight: Weight; bias: Weight } {
  const [out, into] = weight.shape as [number, number];
  const data = new Float64Array(out * into);
  const bias = new Float64Array(out);
  for (let o = 0; o < out; o++) {
    for (let i = 0; i < into; i++) {
      const w = weight.data[o * into + i]!;
      data[o * into + i] = w * gain.data[i]!;
      bias[o]! += w * shift.data[i]!;
    }
  }
  return { weight: { ...weight, data }, bias: { name: `${weight.name}.shift`, shape: [out], data: bias } };
}
