import { elements } from '../base/tensor.ts';
import type { ParameterUse } from '../graph/graph.ts';
import { buildElf, zeros } from './build.ts';
import type { ElfConfig } from './elf.ts';
import { PRESETS, type PresetName } from './manifest.ts';
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

/** The bill of a network: parameters, operations and statistics, in all and by block. */
export interface ElfDescription {
  readonly config: ElfConfig;
  /** Every key of a checkpoint with its shape, in the order of the network. */
  readonly parameters: readonly ParameterUse[];
  /** Numbers stored, shared tensors once, unused ones included. */
  readonly stored: number;
  readonly convolutionMacs: number;
  readonly attentionMacs: number;
  readonly blocks: readonly BlockCost[];
  /** Nodes by ONNX operator, most frequent first, as the network is written down; targets rearrange them. */
  readonly operators: Readonly<Record<string, number>>;
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
    operators: tally(graph.nodes.map(({ op }) => op)),
    statistics: slots,
    statisticsLength: slots.reduce((sum, { length }) => sum + length, 0),
  };
}

function tally(names: readonly string[]): Record<string, number> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return Object.fromEntries([...counts].sort(([, a], [, b]) => b - a));
}

/** Every key of a checkpoint with its shape. */
export function parametersOf(config: ElfConfig): readonly ParameterUse[] {
  return buildElf(config, zeros, { shape: PICTURE, target: 'reference' }).graph.parameters;
}

/** Layout of the `statistics` and `sums` vectors of a preset. */
export function statisticsOf(preset: PresetName): readonly StatisticSlot[] {
  return buildElf(configOf(preset), zeros, { shape: PICTURE, target: 'reference' }).slots;
}

/** The keys of every preset, by its name: weights given for the wrong one are recognised by them. */
export function presetParameters(): readonly (readonly [PresetName, readonly ParameterUse[]])[] {
  return PRESETS.map((name) => [name, parametersOf(configOf(name))]);
}
