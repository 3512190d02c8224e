import type { Value, Weight } from '../graph/graph.ts';
import * as op from '../graph/ops.ts';
import { times } from '../graph/shape.ts';
import { foldNorm, outputs, padInputs } from './algebra.ts';
import type { Module } from './module.ts';

// The layers that elf.ts is written in. Each reads its parameters at its module's path and lowers itself as the target wants.

/** A convolution beyond its output channels. */
export interface ConvLayer {
  readonly kernel?: 1 | 3;
  readonly stride?: number;
  readonly groups?: number;
  readonly bias?: boolean;
  /** Input channels that the checkpoint knows; `x` may have more, which are zeros. */
  readonly inputs?: number;
  /** A rearrangement of the weight before it is stored. */
  readonly prepare?: (weight: Weight) => Weight;
}

/** A convolution to `out` channels, padded to keep the sides. */
export function conv(m: Module, x: Value, out: number, options: ConvLayer = {}): Value {
  const {
    kernel = 1,
    stride = 1,
    groups = 1,
    bias = false,
    inputs = channels(x),
    prepare = (weight) => weight,
  } = options;
  const weight = prepare(m.parameter('weight', [out, inputs / groups, kernel, kernel]));
  const stored = m.weight(groups === 1 ? padInputs(weight, channels(x)) : weight);
  return op.conv(m, x, stored, { stride, groups, ...(bias && { bias: m.weight(m.parameter('bias', [out])) }) });
}

/** 3×3, each channel by itself. */
export function depthwise(m: Module, x: Value, options: Pick<ConvLayer, 'bias'> = {}): Value {
  return conv(m, x, channels(x), { ...options, kernel: 3, groups: channels(x) });
}

/** DSC: depthwise 3×3, then 1×1, the only convolutions with biases. */
export function depthwiseSeparable(m: Module, x: Value, out: number): Value {
  return conv(m.at('point_conv'), depthwise(m.at('depth_conv'), x, { bias: true }), out, { bias: true });
}

/** PReLU with one slope for all channels; `shared` names the tensor when several keys store the same one. */
export function prelu(m: Module, x: Value, shared?: string): Value {
  const slope = m.parameter('weight', [1], shared === undefined ? {} : { shared });
  return op.leakyRelu(m, x, slope.data[0]!);
}

/** A layer norm over channels, a pixel at a time; what follows decides where its gain and shift are applied. */
export interface Normalised {
  /** (x − mean x)/σ. N C h w */
  readonly unit: Value;
  readonly gain: Weight;
  readonly shift: Weight;
}

const EPSILON = 1e-5;

/** LayerNorm with bias. */
export function layerNorm(m: Module, x: Value): Normalised {
  const c = channels(x);
  // Centred before squaring: E[x²] − E[x]² would save a pass, and lose the digits of pixels whose channels nearly agree.
  const centred = op.sub(m, x, meanOverChannels(m, x));
  const variance = meanOverChannels(m, op.square(m, centred)); // N 1 h w
  const unit = op.div(m, centred, op.sqrt(m, op.add(m, variance, m.constant([EPSILON], []))));
  return { unit, gain: m.parameter('body.weight', [c]), shift: m.parameter('body.bias', [c]) };
}

/** N C h w → N 1 h w. */
function meanOverChannels(m: Module, x: Value): Value {
  const c = channels(x);
  if (!m.lowering.sumByConvolution) return op.reduce(m, 'Mean', x, [1]);
  return op.conv(m, x, m.constant(new Array(c).fill(1 / c), [1, c, 1, 1]));
}

/** The norm's value itself, for readers that pad their input with zeros. */
export function applyNorm(m: Module, { unit, gain, shift }: Normalised): Value {
  const perChannel = ({ name, shape, data }: Weight) => m.weight({ name, shape: [1, shape[0]!, 1, 1], data });
  return op.add(m, op.mul(m, unit, perChannel(gain)), perChannel(shift));
}

/**
 * A 1×1 over a norm and a depthwise 3×3, the result cut into parts of `sides` channels.
 * Parts may come back with more channels, all zeros, than asked for.
 */
export function projectDepthwise(
  m: Module,
  [project, spread]: readonly [project: string, spread: string],
  norm: Normalised,
  sides: readonly number[],
): readonly Value[] {
  const total = sides.reduce((a, b) => a + b, 0);
  const { alignment, splitProjections, foldNorms } = m.lowering;
  const [p, d] = [m.at(project), m.at(spread)];
  const weight = p.parameter('weight', [total, channels(norm.unit), 1, 1]);
  const taps = d.parameter('weight', [total, 1, 3, 3]);
  const x = foldNorms ? norm.unit : applyNorm(p, norm);
  const folded = foldNorms ? foldNorm(weight, norm.gain, norm.shift) : { weight, bias: undefined };
  const part = (from: number, to: number, padded: number): Value => {
    const rows = (all: Weight) => p.weight(outputs(all, from, to, padded));
    const wide = op.conv(p, x, rows(folded.weight), folded.bias && { bias: rows(folded.bias) });
    return op.conv(d, wide, d.weight(outputs(taps, from, to, padded)), { groups: padded });
  };
  if (!splitProjections) return op.split(m, part(0, total, total), 1, sides);
  let to = 0;
  return sides.map((side) => {
    to += side;
    return part(to - side, to, Math.ceil(side / alignment) * alignment);
  });
}

/**
 * Attention between channels: softmax(τ · q̂k̂ᵀ)·v, q̂ and k̂ of unit length over the pixels, then a 1×1.
 * All N C h w; a head takes C/heads channels.
 */
export function channelAttention(m: Module, q: Value, k: Value, v: Value, heads: number): Value {
  const [n, c, h, w] = v.shape;
  const d = channels(v) / heads;
  const pixels = times(h!, w!);
  const temperature = m.weight(m.parameter('temperature', [heads, 1, 1]));
  const out = m.at('project_out');

  const { gram, squareQ, squareK } = m.statistics.gram(m, q, k, heads);
  m.count('attention', times(times(n!, channels(v) * d), pixels));
  // F.normalize's floor, on the norms as there.
  const norm = (squares: Value) => op.max(m, op.sqrt(m, squares), m.constant([1e-12], []));
  const cosines = op.div(m, gram, op.mul(m, norm(squareQ), norm(squareK)));
  const weights = op.softmax(m, op.mul(m, cosines, temperature)); // N heads d d
  m.count('attention', times(times(n!, channels(v) * d), pixels));

  if (!m.lowering.mergeAttention) {
    const mixed = op.matmul(m, weights, op.reshape(m, v, [n!, heads, d, pixels]));
    return conv(out, op.reshape(m, mixed, v.shape, v), channels(v));
  }
  const projection = out.parameter('weight', [channels(v), channels(v), 1, 1]);
  const merged = mergeProjection(out, projection, weights, heads); // N C C
  return op.reshape(m, op.matmul(m, merged, op.reshape(m, v, [n!, c!, pixels])), v.shape, v);
}

/** P·blockdiag(A): one C×C matrix an image instead of a product and a convolution over its pixels. */
function mergeProjection(m: Module, projection: Weight, weights: Value, heads: number): Value {
  const [n, , d] = weights.shape as [Value['shape'][0], number, number];
  const c = heads * d;
  if (heads === 1) {
    const p = m.weight({ ...projection, shape: [c, c] });
    return op.matmul(m, p, op.reshape(m, weights, [n!, c, c]));
  }
  // [c, heads·d] → [heads, c, d], so that each head meets its own columns.
  const data = new Float64Array(c * c);
  for (let o = 0; o < c; o++)
    for (let i = 0; i < c; i++) data[(Math.floor(i / d) * c + o) * d + (i % d)] = projection.data[o * c + i]!;
  const p = m.weight({ ...projection, shape: [heads, c, d], data });
  const perHead = op.matmul(m, p, weights); // N heads c d
  return op.reshape(m, op.transpose(m, perHead, [0, 2, 1, 3]), [n!, c, c]);
}

/** Bilinear by `factor`, then a 1×1. The two commute, so the 1×1 goes where the image is smaller. */
export function resample(m: Module, x: Value, factor: number): Value {
  const project = (y: Value) => conv(m, y, channels(x));
  if (factor > 1 && m.lowering.projectBeforeUpsampling) return op.resize(m, project(x), factor);
  return project(op.resize(m, x, factor));
}

/** Channels of N C h w. */
export function channels(x: Value): number {
  return x.shape[1] as number;
}
