import { ElfinError, type Feeds, type ModelRef, type Runtime, type Session } from '@elfin/core';
import { type GraphVariant, graphName, parseGraphName } from '@elfin/core/remote';

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
  /** Graphs kept open; beyond it the one used longest ago is closed as soon as nothing runs on it. */
  readonly keep: number;
}

/** The graphs that a worker serves: every variant of every model, opened when first asked for. */
export interface Graphs {
  /** Names of all graphs. */
  readonly names: readonly string[];
  /** Errors: MODEL_UNKNOWN. */
  metadata(name: string): GraphMetadata;
  /** Whether the graph is open. */
  isOpen(name: string): boolean;
  /** Errors: MODEL_UNKNOWN, and those of the runtime. */
  use<T>(name: string, work: (session: Session) => Promise<T>): Promise<T>;
  dispose(): Promise<void>;
}

interface Open {
  readonly session: Promise<Session>;
  users: number;
  used: number;
}

const VARIANTS: readonly Omit<GraphVariant, 'model'>[] = (['uint8', 'float'] as const).flatMap((io) =>
  (['own', 'given'] as const).flatMap((statistics) =>
    (['own', 'given'] as const).map((quadrants) => ({ io, statistics, quadrants })),
  ),
);

export function createGraphs({ models, runtime, keep }: GraphsOptions): Graphs {
  const byName = new Map(models.map((model) => [model.name, model]));
  const names = models.flatMap(({ name: model }) => VARIANTS.map((variant) => graphName({ model, ...variant })));
  const known = new Set(names);
  const open = new Map<string, Open>();
  let clock = 0;

  function find(name: string): { model: ModelRef; variant: GraphVariant } {
    const variant = known.has(name) ? parseGraphName(name) : undefined;
    const model = variant && byName.get(variant.model);
    if (!variant || !model)
      throw new ElfinError(
        'MODEL_UNKNOWN',
        `There is no model "${name.slice(0, 120)}" here; this worker has ${[...byName.keys()].join(', ')}.`,
      );
    return { model, variant };
  }

  function acquire(name: string): Open {
    const existing = open.get(name);
    if (existing) return existing;
    const { model, variant } = find(name);
    const opened: Open = { session: runtime.open(model, variant), users: 0, used: 0 };
    // A graph that could not be opened is asked for anew the next time.
    opened.session.catch(() => open.delete(name));
    open.set(name, opened);
    return opened;
  }

  async function trim(): Promise<void> {
    const idle = [...open].filter(([, { users }]) => users === 0).sort(([, one], [, other]) => one.used - other.used);
    for (const [name, { session }] of idle.slice(0, Math.max(0, open.size - keep))) {
      open.delete(name);
      await session.then(
        (it) => it.dispose(),
        () => undefined,
      );
    }
  }

  return {
    names,
    metadata(name) {
      const { variant } = find(name);
      return { name, versions: ['1'], platform: 'onnxruntime_onnx', ...portsOf(variant) };
    },
    isOpen: (name) => open.has(name),
    async use(name, work) {
      const entry = acquire(name);
      entry.users += 1;
      entry.used = ++clock;
      try {
        return await work(await entry.session);
      } finally {
        entry.users -= 1;
        await trim();
      }
    },
    async dispose() {
      const all = [...open.values()];
      open.clear();
      await Promise.all(
        all.map(({ session }) =>
          session.then(
            (it) => it.dispose(),
            () => undefined,
          ),
        ),
      );
    },
  };
}

function portsOf({ io, statistics, quadrants }: GraphVariant): Pick<GraphMetadata, 'inputs' | 'outputs'> {
  const pixels = io === 'uint8' ? [-1, -1, -1, 3] : [-1, 3, -1, -1];
  const datatype = io === 'uint8' ? 'UINT8' : 'FP32';
  const float = (name: string, shape: readonly number[]): TensorMetadata => ({ name, datatype: 'FP32', shape });
  return {
    inputs: [
      { name: 'image', datatype, shape: pixels },
      ...(quadrants === 'given' ? [float('quadrants', [-1, 12, -1, -1])] : []),
      ...(statistics === 'given' ? [float('statistics', [1, -1]), float('core', [-1, 1, -1, -1])] : []),
    ],
    outputs: [
      { name: 'restored', datatype, shape: pixels },
      float('background', [-1, 3, -1, -1]),
      float('sums', [-1, -1]),
    ],
  };
}

const FIT: Readonly<Record<string, (height: number, width: number) => readonly number[]>> = {
  quadrants: (height, width) => [12, height / 2, width / 2],
  core: (height, width) => [1, height / 2, width / 2],
};

/**
 * Whether feeds fit a graph, before they are queued or stacked with others. Sides are multiples of 16, at most `side`.
 * Errors: OPTION_INVALID, naming the input.
 */
export function checkFeeds({ inputs }: GraphMetadata, feeds: Feeds, side: number): void {
  const refuse = (reason: string) => new ElfinError('OPTION_INVALID', `The tensors do not fit the model: ${reason}.`);
  const odd = Object.keys(feeds).find((name) => !inputs.some((input) => input.name === name));
  if (odd) throw refuse(`it has no input ${odd.slice(0, 40)}, only ${inputs.map(({ name }) => name).join(', ')}`);
  const image = feeds.image;
  const [batch, height = 0, width = 0] = image
    ? [image.shape[0], ...(image.type === 'uint8' ? image.shape.slice(1, 3) : image.shape.slice(2, 4))]
    : [];
  for (const { name, datatype, shape } of inputs) {
    const tensor = feeds[name];
    if (!tensor) throw refuse(`the input ${name} is missing`);
    const type = datatype === 'UINT8' ? 'uint8' : 'float32';
    const fits =
      tensor.shape.length === shape.length &&
      shape.every((length, axis) => length === -1 || length === tensor.shape[axis]);
    if (tensor.type !== type || !fits)
      throw refuse(`${name} is ${datatype} [${shape}], not ${tensor.type} [${tensor.shape}]`);
    const expected = FIT[name]?.(height, width);
    if (expected && [batch, ...expected].join() !== tensor.shape.join())
      throw refuse(`${name} [${tensor.shape}] does not belong to an image of ${width}×${height}`);
  }
  for (const length of [height, width])
    if (length < 16 || length % 16 !== 0 || length > side)
      throw refuse(`sides are multiples of 16 up to ${side}, not ${width}×${height}`);
}
