import {
  createSessionPool,
  ElfinError,
  type Feeds,
  type ModelRef,
  type Outputs,
  type Runtime,
  type Tensor,
} from '@elfin/core';
import { type GraphVariant, graphName } from '@elfin/core/remote';

/** An input or output as the protocol's metadata describe it; -1 is any length. */
export interface TensorMetadata {
  readonly name: string;
  readonly datatype: 'FP32' | 'UINT8';
  readonly shape: readonly number[];
}

export interface GraphMetadata {
  readonly name: string;
  readonly versions: readonly string[];
  readonly platform: 'onnxruntime_onnx';
  readonly inputs: readonly TensorMetadata[];
  readonly outputs: readonly TensorMetadata[];
}

export interface GraphsOptions {
  readonly models: readonly ModelRef[];
  readonly runtime: Runtime;
  /** Graphs kept open while nothing runs on them; beyond it the one used longest ago is closed. */
  readonly keep: number;
}

/** The graphs that a worker serves: every variant of every model, opened when first asked for. */
export interface Graphs {
  /** Names of all graphs. */
  readonly names: readonly string[];
  /** Errors: MODEL_UNKNOWN. */
  metadata(name: string): GraphMetadata;
  /** Whether the graph is open. Errors: MODEL_UNKNOWN. */
  isOpen(name: string): boolean;
  /** Errors: MODEL_UNKNOWN, and those of the runtime. */
  run(name: string, feeds: Feeds, outputs: readonly string[] | undefined): Promise<Outputs>;
  dispose(): Promise<void>;
}

const VARIANTS: readonly Omit<GraphVariant, 'model'>[] = (['uint8', 'float'] as const).flatMap((io) =>
  (['own', 'given'] as const).flatMap((statistics) =>
    (['own', 'given'] as const).map((quadrants) => ({ io, statistics, quadrants })),
  ),
);

export function createGraphs({ models, runtime, keep }: GraphsOptions): Graphs {
  const graphs = new Map(
    models.flatMap((model) =>
      VARIANTS.map((variant) => [graphName({ model: model.name, ...variant }), { model, variant }] as const),
    ),
  );
  const pool = createSessionPool(runtime, { keep });

  function find(name: string): { readonly model: ModelRef; readonly variant: Omit<GraphVariant, 'model'> } {
    const found = graphs.get(name);
    if (found) return found;
    throw new ElfinError(
      'MODEL_UNKNOWN',
      `There is no model "${name.slice(0, 120)}" here; this worker has ${models.map((model) => model.name).join(', ')}.`,
    );
  }

  return {
    names: [...graphs.keys()],
    metadata(name) {
      const { variant } = find(name);
      return { name, versions: ['1'], platform: 'onnxruntime_onnx', ...portsOf(variant) };
    },
    isOpen(name) {
      const { model, variant } = find(name);
      return pool.has(model, variant);
    },
    async run(name, feeds, outputs) {
      const { model, variant } = find(name);
      await using session = await pool.acquire(model, variant);
      return await session.run(feeds, outputs ? { outputs } : {});
    },
    dispose: () => pool.dispose(),
  };
}

function portsOf({
  io,
  statistics,
  quadrants,
}: Omit<GraphVariant, 'model'>): Pick<GraphMetadata, 'inputs' | 'outputs'> {
  const float = (name: string, shape: readonly number[]): TensorMetadata => ({ name, datatype: 'FP32', shape });
  const picture = (name: string, channels: number): TensorMetadata =>
    io === 'float' ? float(name, [-1, channels, -1, -1]) : { name, datatype: 'UINT8', shape: [-1, -1, -1, channels] };
  return {
    inputs: [
      picture('image', 3),
      ...(quadrants === 'given' ? [picture('quadrants', 12)] : []),
      ...(statistics === 'given' ? [float('statistics', [1, -1]), picture('core', 1)] : []),
    ],
    outputs: [picture('restored', 3), picture('background', 3), float('sums', [-1, -1])],
  };
}

/** Inputs at half the image's resolution. */
const HALVED = new Set(['quadrants', 'core']);

/**
 * Whether feeds fit a graph, before they are queued or stacked with others. Sides are multiples of 16, at most `side`; a
 * request stacks at most `batch` images itself. Errors: OPTION_INVALID, naming the input.
 */
export function checkFeeds(
  { inputs }: GraphMetadata,
  feeds: Feeds,
  most: { readonly side: number; readonly batch: number },
): void {
  const { side } = most;
  const refuse = (reason: string) => new ElfinError('OPTION_INVALID', `The tensors do not fit the model: ${reason}.`);
  const odd = Object.keys(feeds).find((name) => !inputs.some((input) => input.name === name));
  if (odd) throw refuse(`it has no input ${odd.slice(0, 40)}, only ${inputs.map(({ name }) => name).join(', ')}`);
  const [batch, height, width] = gridOf(feeds.image);
  for (const { name, datatype, shape } of inputs) {
    const tensor = feeds[name];
    if (!tensor) throw refuse(`the input ${name} is missing`);
    const type = datatype === 'UINT8' ? 'uint8' : 'float32';
    const fits =
      tensor.shape.length === shape.length &&
      shape.every((length, axis) => length === -1 || length === tensor.shape[axis]);
    if (tensor.type !== type || !fits)
      throw refuse(`${name} is ${datatype} [${shape}], not ${tensor.type} [${tensor.shape}]`);
    if (HALVED.has(name) && gridOf(tensor).join() !== [batch, height / 2, width / 2].join())
      throw refuse(`${name} [${tensor.shape}] does not belong to an image of ${width}×${height}`);
  }
  if (batch > most.batch) throw refuse(`image stacks ${batch}, and one run takes ${most.batch}`);
  for (const length of [height, width])
    if (length < 16 || length % 16 !== 0 || length > side)
      throw refuse(`sides are multiples of 16 up to ${side}, not ${width}×${height}`);
}

/** How many, how high and how wide: bytes have their channels last. */
function gridOf(tensor: Tensor | undefined): [batch: number, height: number, width: number] {
  const [batch = 0, ...rest] = tensor?.shape ?? [];
  const [height = 0, width = 0] = tensor?.type === 'uint8' ? rest : rest.slice(1);
  return [batch, height, width];
}

/** Pixels that a request's image holds. */
export function pixelsOf({ image }: Feeds): number {
  return gridOf(image).reduce((product, side) => product * side, 1);
}
