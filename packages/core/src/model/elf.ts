import type { Value } from '../graph/graph.ts';
import { add, concat, depthToSpace, gelu, mul, relu, resize, sigmoid, sub } from '../graph/ops.ts';
import { permuteOutputs } from './algebra.ts';
import {
  applyNorm,
  channelAttention,
  channels,
  conv,
  depthwiseSeparable as DSC,
  depthwise,
  layerNorm,
  type Normalised,
  prelu,
  projectDepthwise,
  resample,
} from './layers.ts';
import type { Module } from './module.ts';

/*
 * ELF: "Magic ELF: Image Deraining Meets Association Learning and Transformer" (ACM MM 2022, arXiv 2207.10455; journal
 * version arXiv 2311.05147). DSNet predicts the degradation R at half resolution; SSNet restores the background with R's
 * help. Blocks bear the paper's names, places the names of the authors' checkpoints.
 *
 * Letters at line ends: N images; H, W sides of the picture; h, w = H/2, W/2; C channels; ½, ¼, ⅛ the halvings of h, w.
 * Sides are multiples of 16: half resolution, then three halvings.
 */

/** Everything in which the presets differ; {@link CONFIGS} has theirs. */
export interface ElfConfig {
  /** C. */
  readonly channels: number;
  /** Transformer blocks in each ORB. */
  readonly blocks: number;
  /** Attention heads in the ORBs; the two blocks outside them have one. */
  readonly heads: number;
  /** Attention heads in the MAM. */
  readonly mamHeads: number;
  /** What gates the feed-forward. `gelu` is the exact one; `prelu` learns one slope a block. */
  readonly gate: 'gelu' | 'prelu';
  /** `background`: SSNet refines the coarse background. `residual`: it refines the degradation, taken off the input. */
  readonly output: 'background' | 'residual';
  /** Whether checkpoints carry the slopes of `prelu` gates that a `gelu` network never reads. */
  readonly unusedSlopes: boolean;
  /** Channel attention squeezes C to C / this. */
  readonly reduction: number;
  /** Feed-forward: int(this · C) hidden channels. */
  readonly expansion: number;
}

/** What the network gives. */
export interface ElfOutputs {
  /** The restored picture, not clamped. N 3 H W */
  readonly restored: Value;
  /** The coarse background B = d − R, d the picture at half resolution. N 3 h w */
  readonly background: Value;
}

/** The whole network. `image` N 3 H W, values 0…1; `down` N 3 h w, its halving; `quadrants` N 12 h w, its own or those of a larger picture. */
export function ELF(m: Module, image: Value, down: Value, quadrants: Value): ElfOutputs {
  const R = DSNet(m.at('dsnet'), down, quadrants); //                                     N 3 h w
  const B = sub(m, down, R); //                                                           N 3 h w
  const r = SSNet(m.at('ssnet'), image, R, B); //                                         N 3 H W
  const restored =
    m.config.output === 'background'
      ? add(m, r, resize(m, B, 2)) //                                                     N 3 H W
      : sub(m, image, add(m, r, resize(m, R, 2)));
  return { restored, background: B };
}

/** Degradation sub-network: from the halved picture and its four quadrants, seen side by side, to the degradation. */
function DSNet(m: Module, down: Value, quadrants: Value): Value {
  const C = m.config.channels;
  let x = conv(m.at('shallow_feat1.0'), down, C, { kernel: 3 }); //                       N C h w
  x = CAB(m.at('shallow_feat1.1'), x);
  let q = conv(m.at('shallow_feat2.0'), quadrants, C, { kernel: 3 }); //                  N C h w
  q = CAB(m.at('shallow_feat2.1'), q);
  q = RestormerBlock(m.at('former.0'), q, 1);
  x = conv(m.at('fuse_conv'), concat(m, [x, q], 1), C, { kernel: 3 }); //                 N 2C h w → N C h w
  const original = ORSNet(m.at('orsnet'), x);
  const scales = Decoder(m.at('dsnnet_decoder'), Encoder(m.at('dsnnet_encoder'), x));
  x = S2FB(m.at('S2FB_fuse'), original, scales); //                                       N C h w
  return conv(m.at('tail'), x, 3, { kernel: 3 }); //                                      N 3 h w
}

/** Background sub-network: associates the picture with its degradation, refines, and returns to full resolution. */
function SSNet(m: Module, image: Value, R: Value, B: Value): Value {
  const C = m.config.channels;
  let x = MAM(m.at('stem'), image, R, B); //                                              N C h w
  if (m.config.output === 'residual') x = RestormerBlock(m.at('former.0'), x, 1);
  const original = ORSNet(m.at('orsnet'), x);
  const scales = Decoder(m.at('ssnnet_decoder'), Encoder(m.at('ssnnet_encoder'), x));
  x = S2FB(m.at('S2FB_fuse'), original, scales); //                                       N C h w
  if (m.config.output === 'background') x = RestormerBlock(m.at('former.0'), x, 1);
  x = conv(m.at('deep_conv'), x, 2 * C, { kernel: 3, prepare: swapRowsAndColumns }); //   N 2C h w
  x = depthToSpace(m, x, 2); //                                                           N C/2 H W
  return conv(m.at('tail'), x, 3, { kernel: 3 }); //                                      N 3 H W
}

/** The authors' shuffle puts channel 4g + 2b + a at row 2i + a, column 2j + b; DepthToSpace puts 4g + 2a + b there. */
const swapRowsAndColumns = (weight: Parameters<typeof permuteOutputs>[0]) =>
  permuteOutputs(weight, (channel) => channel - (channel % 4) + [0, 2, 1, 3][channel % 4]!);

/** Multi-input attention module: the degradation's features ask, the rainy picture's answer. */
function MAM(m: Module, image: Value, R: Value, B: Value): Value {
  const C = m.config.channels;
  const s = conv(m.at('conv_stem0'), image, C, { kernel: 3, stride: 2 }); //              N C h w
  const degradation = conv(m.at('conv_stem2'), R, C, { kernel: 3 }); //                   N C h w
  const f = m.at('former');
  const a = f.at('attn');
  // Applied here: depthwise convolutions follow, and their zero padding knows no folded shift.
  const norm = (name: string, x: Value) => applyNorm(f.at(name), layerNorm(f.at(name), x));
  const q = depthwise(a.at('q'), norm('norm_key', degradation)); //                       N C h w; the authors' naming
  const k = depthwise(a.at('k'), norm('norm_query', s));
  const v = depthwise(a.at('v'), norm('norm_value', s));
  let x = add(f, channelAttention(a, q, k, v, m.config.mamHeads), s);
  x = add(f, GDFN(f.at('ffn'), layerNorm(f.at('norm2'), x)), x); //                       N C h w
  const background = conv(m.at('conv_stem3'), B, C, { kernel: 3 }); //                    N C h w
  return S2FB(m.at('S2FB'), background, x);
}

/** Original-resolution branch: transformer blocks, a convolution, and the input again. */
function ORSNet(m: Module, x: Value): Value {
  const orb = m.at('orb');
  let y = x;
  for (let i = 0; i < m.config.blocks; i++) y = RestormerBlock(orb.at(`modules_body.${i}`), y, m.config.heads);
  return add(orb, conv(orb.at('conv'), y, channels(x), { kernel: 3 }), x); //             N C h w
}

/** Transformer block of Restormer (CVPR 2022): attention between channels, then a gated feed-forward. */
function RestormerBlock(m: Module, x: Value, heads: number): Value {
  const y = add(m, MDTA(m.at('attn'), layerNorm(m.at('norm1'), x), heads), x);
  return add(m, GDFN(m.at('ffn'), layerNorm(m.at('norm2'), y)), y); //                    N C h w
}

/** Multi-Dconv head transposed attention. */
function MDTA(m: Module, norm: Normalised, heads: number): Value {
  const C = m.config.channels;
  const [q, k, v] = projectDepthwise(m, ['qkv', 'qkv_dwconv'], norm, [C, C, C]); //       N C h w each
  return channelAttention(m, q!, k!, v!, heads);
}

/** Gated-Dconv feed-forward network. */
function GDFN(m: Module, norm: Normalised): Value {
  const hidden = Math.trunc(m.config.expansion * m.config.channels); //                   F
  const [a, b] = projectDepthwise(m, ['project_in', 'dwconv'], norm, [hidden, hidden]); // N F h w each
  if (m.config.unusedSlopes) m.at('act1').parameter('weight', [1], { unused: true });
  const gate = m.config.gate === 'gelu' ? gelu(m, a!) : prelu(m.at('act1'), a!);
  return conv(m.at('project_out'), mul(m, gate, b!), m.config.channels, { inputs: hidden }); // N C h w
}

/** Three levels, each halving: [½, ¼, ⅛]. */
function Encoder(m: Module, x: Value): readonly [Value, Value, Value] {
  const level = (i: number, above: Value): Value => {
    const y = resample(m.at(`down_stage${i}.down.1`), above, 1 / 2);
    const block = m.at(`encoder_level${i}`);
    return S2FB(block.at('S2FB2'), y, CAB_dsc(block.at('CAB1'), y));
  };
  const e1 = level(1, x); //                                                              N C h½ w½
  const e2 = level(2, e1); //                                                             N C h¼ w¼
  return [e1, e2, level(3, e2)]; //                                                       N C h⅛ w⅛
}

/** Upwards again; every level sees all three of the encoder. */
function Decoder(m: Module, [e1, e2, e3]: readonly [Value, Value, Value]): Value {
  const level = (i: number, ...inputs: readonly [Value, Value, Value, Value]): Value => {
    const block = m.at(`decoder_level${i}`);
    const y = S2FB_p(block.at('S2FB0'), ...inputs);
    return S2FB(block.at('S2FB2'), y, CAB(block.at('CAB1'), y));
  };
  const down = (name: string, x: Value, factor: number) => resample(m.at(`down_${name}.down.1`), x, factor);
  const up = (name: string, x: Value, factor: number) => resample(m.at(`up_${name}.up.1`), x, factor);
  const d3 = level(3, e3, e3, down('23', e2, 1 / 2), down('13', e1, 1 / 4)); //           N C h⅛ w⅛
  const d2 = level(2, up('stage3', d3, 2), e2, down('12', e1, 1 / 2), up('32', e3, 2)); // N C h¼ w¼
  const d1 = level(1, up('stage2', d2, 2), e1, up('21', e2, 2), up('31', e3, 4)); //      N C h½ w½
  return up('stage1', d1, 2); //                                                          N C h w
}

/** Selective fusion of two branches: CA(DSC[a, b]) + a. */
function S2FB(m: Module, a: Value, b: Value): Value {
  const f = DSC(m.at('DSC'), concat(m, [a, b], 1), m.config.channels); //                 N 2C → N C
  return add(m, CA(m.at('CA_fea'), f), a);
}

/** Progressive fusion of four: x₃ with x₄, then x₂, then x₁. */
function S2FB_p(m: Module, x1: Value, x2: Value, x3: Value, x4: Value): Value {
  const join = (name: string, a: Value, b: Value) => DSC(m.at(name), concat(m, [a, b], 1), m.config.channels);
  let f = join('DSC1', x3, x4);
  f = join('DSC2', x2, f);
  f = join('DSC3', x1, f); //                                                             N C
  return add(m, CA(m.at('CA_fea'), f), f);
}

/** Channel attention block: CA(conv·PReLU·conv(x)) + x. */
function CAB(m: Module, x: Value): Value {
  const C = m.config.channels;
  let y = conv(m.at('body.0'), x, C, { kernel: 3 });
  y = branchPrelu(m.at('body.1'), y);
  y = conv(m.at('body.2'), y, C, { kernel: 3 });
  return add(m, CA(m.at('CA'), y), x);
}

/** Its depthwise-separable kin, which ends in a fusion with its input instead of a sum. */
function CAB_dsc(m: Module, x: Value): Value {
  const C = m.config.channels;
  let y = DSC(m.at('body.0'), x, C);
  y = branchPrelu(m.at('body.1'), y);
  y = DSC(m.at('body.2'), y, C);
  return S2FB(m.at('S2FB2'), CA(m.at('CA'), y), x);
}

/** The blocks of one sub-network share a single slope, which checkpoints store under each block's key. */
function branchPrelu(m: Module, x: Value): Value {
  return prelu(m, x, m.path.split('.')[0]);
}

/** Channel attention: x · σ(W₂ relu(W₁ mean x)). */
function CA(m: Module, x: Value): Value {
  const { channels: C, reduction } = m.config;
  let y = m.statistics.mean(m, x); //                                                     N C 1 1
  y = relu(m, conv(m.at('conv_du.0'), y, C / reduction));
  y = sigmoid(m, conv(m.at('conv_du.2'), y, C));
  return mul(m, x, y);
}
