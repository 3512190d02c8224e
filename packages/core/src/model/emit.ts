import type { ParameterSource, Value } from '../graph/graph.ts';
import { toHalf } from '../graph/half.ts';
import { encodeOnnx } from '../graph/onnx.ts';
import { formatDim } from '../graph/shape.ts';
import { loadStateDict, type StateDict } from '../weights/state-dict.ts';
import { type BuildOptions, buildElf, zeros } from './build.ts';
import { parametersOf, presetParameters } from './describe.ts';
import { configOf, type ElfChoice } from './presets.ts';
import type { StatisticSlot } from './statistics.ts';

/** Which network with which weights, and what kind of graph of it. */
export interface EmitOptions extends BuildOptions {
  readonly model: ElfChoice;
  /** Every parameter of the network and nothing else, fitted by {@link loadStateDict}. */
  readonly weights: StateDict;
  /** How the file stores weights; arithmetic is not changed by it. Default `float32`. */
  readonly storage?: 'float32' | 'float16';
  /** Arithmetic, for runtimes that have float16; inputs and outputs keep their types. Default `float32`. */
  readonly precision?: 'float32' | 'float16';
}

/** A tensor at the graph's border; a side is a number or an expression in N, H and W. */
export interface Port {
  readonly name: string;
  readonly type: 'float32' | 'uint8';
  readonly shape: readonly (number | string)[];
}

/** An ONNX model and what its tensors mean. */
export interface EmittedElf {
  /** The ONNX model. Equal arguments give equal bytes. */
  readonly onnx: Uint8Array;
  /** Layout of `statistics` and `sums`. */
  readonly statistics: readonly StatisticSlot[];
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
}

/**
 * Emits the network as an ONNX model.
 * Errors: WEIGHTS_MISMATCH (all missing, unexpected and mis-shaped keys in one), WEIGHTS_NOT_FINITE, OPTION_INVALID, GRAPH_INVALID.
 */
export function emitElf(options: EmitOptions): EmittedElf {
  const { storage = 'float32', precision = 'float32' } = options;
  const config = configOf(options.model);
  const network = typeof options.model === 'string' ? options.model : 'this network';
  const weights = loadStateDict({ state: options.weights }, parametersOf(config), {
    network,
    others: presetParameters,
  });
  // Only parameters that nothing reads may be missing.
  const source: ParameterSource = (key, shape) => weights.get(key)?.data ?? zeros(key, shape);
  const { graph, slots } = buildElf(config, source, options);
  const port = ({ name, type, shape }: Value): Port => ({
    name,
    type: type as Port['type'],
    shape: shape.map((dim) => (typeof dim === 'number' ? dim : formatDim(dim))),
  });
  const metadata = { 'elfin.model': typeof options.model === 'string' ? options.model : 'custom' };
  return {
    onnx: encodeOnnx(precision === 'float16' ? toHalf(graph) : graph, { storage, metadata }),
    statistics: slots,
    inputs: graph.inputs.map(port),
    outputs: graph.outputs.map(port),
  };
}
