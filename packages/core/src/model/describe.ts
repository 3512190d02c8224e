import { ElfinError } from '../errors.ts';
import type { ParameterUse } from '../graph/graph.ts';
import { elements } from '../tensor.ts';
import type { StateDict } from '../weights/state-dict.ts';
import { buildElf, zeros } from './build.ts';
import type { ElfConfig } from './elf.ts';
import { configOf, type ElfChoice } from './presets.ts';
import type { StatisticSlot } from './statistics.ts';

/** One row of the network's bill. */
export interface BlockCost {
  /** Place in the network down to the block, for example `dsnet.orsnet`. */
  readonly block: string;
  /** Numbers stored; a shared tensor counts where it is met first. */
  readonly parameters: number;
  /** Multiply-adds of convolutions and of attentions' matrix products, for one picture of 256×256. */
  readonly convolutionMacs: number;
  readonly attentionMacs: number;
}

export interface ElfDescription {
  readonly config: ElfConfig;
  /** Every key of a checkpoint with its shape, in the order of the network. */
  readonly parameters: readonly ParameterUse[];
  /** Numbers stored, shared tensors once, unused ones included. */
  readonly stored: number;
  readonly convolutionMacs: number;
  readonly attentionMacs: number;
  readonly blocks: readonly BlockCost[];
  /** Layout of the `statistics` and `sums` vectors, and their length. */
  readonly statistics: readonly StatisticSlot[];
  readonly statisticsLength: number;
}

const PICTURE = { batch: 1, height: 256, width: 256 };

/** What a network consists of and costs, without any weights. */
export function describeElf(model: ElfChoice): ElfDescription {
  const config = configOf(model);
  // Counted on the network as written down, not on what a target makes of it.
  const { graph, slots } = buildElf(config, zeros, { shape: PICTURE, target: 'reference' });
  const blocks = new Map<string, { parameters: number; convolutionMacs: number; attentionMacs: number }>();
  const row = (path: string) => {
    const block = path.split('.').slice(0, 2).join('.');
    const known = blocks.get(block) ?? { parameters: 0, convolutionMacs: 0, attentionMacs: 0 };
    blocks.set(block, known);
    return known;
  };
  const tensors = new Set<string>();
  for (const { key, shape, shared = key } of graph.parameters) {
    if (!tensors.has(shared)) row(key).parameters += elements(shape);
    tensors.add(shared);
  }
  for (const { scope, kind, macs } of graph.costs) row(scope)[`${kind}Macs`] += macs as number;
  const rows = [...blocks].map(([block, cost]) => ({ block, ...cost }));
  const total = (part: 'parameters' | 'convolutionMacs' | 'attentionMacs') =>
    rows.reduce((sum, cost) => sum + cost[part], 0);
  return {
    config,
    parameters: graph.parameters,
    stored: total('parameters'),
    convolutionMacs: total('convolutionMacs'),
    attentionMacs: total('attentionMacs'),
    blocks: rows,
    statistics: slots,
    statisticsLength: slots.reduce((sum, { length }) => sum + length, 0),
  };
}

/** Every key of a checkpoint with its shape. */
export function parametersOf(config: ElfConfig): readonly ParameterUse[] {
  return buildElf(config, zeros, { shape: PICTURE, target: 'reference' }).graph.parameters;
}

/** Throws WEIGHTS_MISMATCH, listing every missing, unexpected and mis-shaped key, or WEIGHTS_NOT_FINITE. */
export function checkWeights(parameters: readonly ParameterUse[], weights: StateDict): void {
  const expected = new Map(parameters.map(({ key, shape }) => [key, shape]));
  const missing = [...expected.keys()].filter((key) => !weights.has(key));
  const unexpected = [...weights.keys()].filter((key) => !expected.has(key));
  const misshapen: string[] = [];
  for (const [key, shape] of expected) {
    const tensor = weights.get(key);
    if (tensor && tensor.shape.join() !== shape.join())
      misshapen.push(`${key} [${tensor.shape}] instead of [${shape}]`);
  }
  if (missing.length + unexpected.length + misshapen.length > 0) {
    const list = (what: string, keys: readonly string[]) =>
      keys.length === 0
        ? []
        : [`${what}: ${keys.slice(0, 5).join(', ')}${keys.length > 5 ? ` and ${keys.length - 5} more` : ''}`];
    const problems = [...list('missing', missing), ...list('unexpected', unexpected), ...list('mis-shaped', misshapen)];
    throw new ElfinError(
      'WEIGHTS_MISMATCH',
      `The weights are not those of this network (${problems.join('; ')}): choose the right preset.`,
      {
        data: { missing, unexpected, misshapen },
      },
    );
  }
  for (const [key, { data }] of weights) {
    if (!data.every(Number.isFinite)) {
      throw new ElfinError(
        'WEIGHTS_NOT_FINITE',
        `${key} holds values that are not finite: the checkpoint is unusable.`,
        { data: { key } },
      );
    }
  }
}
