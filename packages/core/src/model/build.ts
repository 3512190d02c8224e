import { ElfinError } from '../base/errors.ts';
import { elements } from '../base/tensor.ts';
import { createGraph, type Graph, type ParameterSource, type Scope, type Value } from '../graph/graph.ts';
import * as op from '../graph/ops.ts';
import { type Dim, over, type Shape, symbol } from '../graph/shape.ts';
import type { SessionOptions } from '../runtime/runtime.ts';
import { ELF, type ElfConfig } from './elf.ts';
import { LOWERINGS, type Lowering, type Target } from './lowering.ts';
import { createModule } from './module.ts';
import { createStatistics, type StatisticSlot } from './statistics.ts';

/** Sides of pictures that the network takes are multiples of this: one halving, then three in the encoder. */
export const SIDE_MULTIPLE = 16;

export type OutputName = 'restored' | 'background' | 'sums';

export interface BuildOptions extends Partial<SessionOptions> {
  /** Where the graph will run; `reference` is operator by operator as the network is written down. Default `native`. */
  readonly target?: Target | Lowering;
  /** Outputs to compute, all by default. Without `sums`, `given` graphs skip queries and keys altogether. */
  readonly outputs?: readonly OutputName[];
  /** 17 to 20. Default 17. */
  readonly opset?: number;
}

function checkBuild(opset: number, shape: BuildOptions['shape']): void {
  if (!Number.isInteger(opset) || opset < 17 || opset > 20) {
    throw new ElfinError('OPTION_INVALID', `Opset ${opset} is not supported: use 17 to 20.`);
  }
  for (const side of shape ? [shape.height, shape.width] : []) {
    if (side < SIDE_MULTIPLE || side % SIDE_MULTIPLE !== 0) {
      throw new ElfinError(
        'OPTION_INVALID',
        `A side of ${side} pixels does not fit the network: pad to a multiple of ${SIDE_MULTIPLE}.`,
      );
    }
  }
}

/** The network between its input and output conventions, as a graph. */
export function buildElf(
  config: ElfConfig,
  source: ParameterSource,
  {
    io = 'float',
    statistics = 'own',
    quadrants = 'own',
    shape,
    target = 'native',
    outputs,
    opset = 17,
  }: BuildOptions = {},
): { graph: Graph; slots: readonly StatisticSlot[] } {
  checkBuild(opset, shape);
  const lowering = typeof target === 'string' ? LOWERINGS[target] : target;
  const [N, H, W]: [Dim, Dim, Dim] = shape
    ? [shape.batch, shape.height, shape.width]
    : [symbol('N'), symbol('H'), symbol('W')];
  const [h, w] = [over(H, 2), over(W, 2)];

  const builder = createGraph('elf', opset, source);
  const s = builder.root;
  const planes = (channels: number, height: Dim, width: Dim): Shape =>
    io === 'float' ? [N, channels, height, width] : [N, height, width, channels];
  const input = (name: string, shape: Shape, most: number): Value =>
    io === 'float' ? builder.input(name, 'float32', shape) : fromBytes(s, builder.input(name, 'uint8', shape), most);
  const output = (name: OutputName, value: Value, shape: Shape) =>
    builder.output(name, io === 'float' ? value : toBytes(s, value), shape);

  const image = input('image', planes(3, H, W), 255);
  const down = op.resize(s, image, 1 / 2);
  const stack = quadrants === 'given' ? input('quadrants', planes(12, h, w), 255) : cutQuadrants(s, image, down);
  const given = statistics === 'given' && builder.input('statistics', 'float32', [1, statisticsLength(config)]);
  const core = statistics === 'given' && wants(outputs, 'sums') && input('core', planes(1, h, w), 1);
  const collected = createStatistics({
    height: h,
    width: w,
    image,
    fanIn: lowering.concatFanIn,
    poolSquares: lowering.squaresByPooling,
    ...(given && { given }),
    ...(core && { core }),
  });

  const m = createModule(s, { config, lowering, statistics: collected });
  const { restored, background } = ELF(m, image, down, stack);
  if (wants(outputs, 'restored')) output('restored', restored, planes(3, H, W));
  if (wants(outputs, 'background')) output('background', background, planes(3, h, w));
  if (wants(outputs, 'sums')) {
    const sums = collected.sums(s);
    builder.output('sums', sums, [N, sums.shape[1]!]);
  }
  return { graph: builder.finish(), slots: collected.slots };
}

/** Numbers in the `statistics` vector: those of the same network that computes its own. */
function statisticsLength(config: ElfConfig): number {
  const { slots } = buildElf(config, zeros, { shape: { batch: 1, height: SIDE_MULTIPLE, width: SIDE_MULTIPLE } });
  return slots.reduce((sum, { length }) => sum + length, 0);
}

/** A source for networks whose values do not matter. */
export const zeros: ParameterSource = (_, shape) => new Float32Array(elements(shape));

const wants = (outputs: readonly OutputName[] | undefined, name: OutputName) =>
  outputs === undefined || outputs.includes(name);

/** Bytes 0…most, channels last → channels first, 0…1. */
function fromBytes(s: Scope, bytes: Value, most: number): Value {
  const planes = op.transpose(s, op.cast(s, bytes, 'float32'), [0, 3, 1, 2]);
  return most === 1 ? planes : op.scale(s, planes, 1 / most);
}

/** Channels first → bytes, channels last, clamped and rounded. */
function toBytes(s: Scope, x: Value): Value {
  const scaled = op.scale(s, op.clip(s, x, 0, 1), 255);
  return op.transpose(s, op.cast(s, op.round(s, scaled), 'uint8'), [0, 2, 3, 1]);
}

/**
 * The four quarters of a picture as channels: top left, top right, bottom left, bottom right. N 3 H W → N 12 h w.
 * @param down a value with sides h and w
 */
function cutQuadrants(s: Scope, image: Value, down: Value): Value {
  const [n, , H, W] = image.shape as [Dim, 3, Dim, Dim];
  const [h, w] = [over(H, 2), over(W, 2)];
  const cut = op.reshape(s, image, [n, 3, 2, h, 2, w], down); // channel, row, y, column, x
  return op.reshape(s, op.transpose(s, cut, [0, 2, 4, 1, 3, 5]), [n, 12, h, w], down);
}
