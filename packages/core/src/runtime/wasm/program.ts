import { ElfinError } from '../../base/errors.ts';
import { elements, type Tensor } from '../../base/tensor.ts';
import type { Graph } from '../../graph/graph.ts';
import type { Feeds, Outputs } from '../runtime.ts';
import { type Border, lower } from './lower.ts';
import { createMachine } from './machine.ts';
import { type Plane, type Rows, type Sizes, sideOf } from './operation.ts';
import { createPlan, type Plan } from './plan.ts';

/** A graph that can be run. One run at a time. */
export interface Program {
  /** Feeds must fit the graph's inputs. Errors: OUT_OF_MEMORY, and what `check` throws between rows. */
  run(feeds: Feeds, outputs?: readonly string[], check?: () => void): Outputs;
  /** Bytes of the memory that it works in. */
  readonly bytes: number;
}

/** A restored image has tiles of one size, and smaller ones at its edges. */
const PLANS = 6;

/**
 * Makes a graph ready to run in a memory of its own.
 * Errors: RUNTIME_UNAVAILABLE for operators that the engine does not know, OUT_OF_MEMORY.
 */
export function createProgram(kernels: WebAssembly.Module, graph: Graph, maxBytes?: number): Program {
  const machine = createMachine(kernels, maxBytes);
  const lowered = lower(graph, machine);
  const plans = new Map<string, Plan>();
  const planFor = (sizes: Sizes): Plan => {
    const key = `${sizes.H}×${sizes.W}`;
    const plan = plans.get(key) ?? createPlan(lowered, machine, sizes);
    plans.delete(key);
    plans.set(key, plan);
    if (plans.size > PLANS) plans.delete(plans.keys().next().value!);
    return plan;
  };
  return {
    get bytes() {
      return machine.floats().byteLength;
    },
    run(feeds, wanted, check) {
      const { sizes, batch } = measure(lowered.inputs, feeds);
      const plan = planFor(sizes);
      const outputs = lowered.outputs
        .filter(({ name }) => wanted?.includes(name) ?? true)
        .map((border) => ({ border, tensor: emptyOutput(border, batch, sizes) }));
      for (let n = 0; n < batch; n++) {
        const floats = machine.floats();
        for (const border of lowered.inputs) feed(floats, border, plan, feeds[border.name]!, n);
        plan.run(check);
        for (const { border, tensor } of outputs) collect(floats, border, plan, tensor, n);
      }
      return Object.fromEntries(outputs.map(({ border, tensor }) => [border.name, tensor]));
    },
  };
}

/** What N, H and W are, off the picture of just these sides; all others must agree. */
function measure(inputs: readonly Border[], feeds: Feeds): { sizes: Sizes; batch: number } {
  const image = inputs.find(({ held }) => 'plane' in held && sidesOf(held.plane) === 'HW');
  const shape = image && feeds[image.name]?.shape;
  if (!image || !shape) throw new ElfinError('INTERNAL', 'The graph takes no picture of sides H and W.');
  const [H, W] = image.type === 'uint8' ? [shape[1]!, shape[2]!] : [shape[2]!, shape[3]!];
  const [sizes, batch] = [{ H, W }, shape[0]!];
  for (const { name, type, held } of inputs) {
    const fed = feeds[name]!.shape;
    const wanted =
      'plane' in held ? planeShape(held.plane, type, batch, sizes) : [fed[0], ...held.small.shape.slice(1)];
    if (wanted.join() === fed.join() && wanted.every(Number.isInteger)) continue;
    throw new ElfinError(
      'OPTION_INVALID',
      `The input ${name} is [${fed}], but beside a picture of ${W}×${H} it must be [${wanted}].`,
    );
  }
  return { sizes, batch };
}

const sidesOf = ({ height, width }: Plane) =>
  [height, width]
    .map((dim) => (typeof dim !== 'number' && dim.denominator === 1 ? dim.symbols.join('') : '?'))
    .join('');

function emptyOutput({ type, held }: Border, batch: number, sizes: Sizes): Tensor {
  const shape = 'small' in held ? [batch, ...held.small.shape.slice(1)] : planeShape(held.plane, type, batch, sizes);
  const length = elements(shape);
  return type === 'uint8'
    ? { type, shape, data: new Uint8Array(length) }
    : { type, shape, data: new Float32Array(length) };
}

function planeShape(plane: Plane, type: Border['type'], batch: number, sizes: Sizes): number[] {
  const [height, width] = [sideOf(plane.height, sizes), sideOf(plane.width, sizes)];
  return type === 'uint8' ? [batch, height, width, plane.channels] : [batch, plane.channels, height, width];
}

/** Image `n` of a tensor into the machine; a tensor of one image serves all. */
function feed(floats: Float32Array, { held, type }: Border, plan: Plan, { shape, data }: Tensor, n: number): void {
  const length = data.length / shape[0]!;
  const from = shape[0] === 1 ? 0 : n * length;
  if ('small' in held) {
    floats.set(data.subarray(from, from + length), held.small.address / 4);
    return;
  }
  const rows = plan.rowsOf(held.plane);
  const { channels, stride } = held.plane;
  const step = stride / 4;
  eachRow(rows, channels, type, (c, at, start, advance) => {
    for (let x = 0, i = from + start; x < rows.width; x++, i += advance) floats[at + x * step + c] = data[i]!;
  });
  if (channels === step) return;
  for (let y = 0; y < rows.height; y++) {
    const at = rows.at(y) / 4;
    for (let x = 0; x < rows.width; x++) floats.fill(0, at + x * step + channels, at + (x + 1) * step);
  }
}

function collect(floats: Float32Array, { held, type }: Border, plan: Plan, tensor: Tensor, n: number): void {
  const data: Float32Array | Uint8Array = tensor.data;
  const length = data.length / tensor.shape[0]!;
  if ('small' in held) {
    data.set(floats.subarray(held.small.address / 4, held.small.address / 4 + length), n * length);
    return;
  }
  const rows = plan.rowsOf(held.plane);
  const step = held.plane.stride / 4;
  eachRow(rows, held.plane.channels, type, (c, at, start, advance) => {
    for (let x = 0, i = n * length + start; x < rows.width; x++, i += advance) data[i] = floats[at + x * step + c]!;
  });
}

/** For every row and channel: where its first pixel is in memory, where in the tensor, and how far apart pixels are there. */
function eachRow(
  rows: Rows,
  channels: number,
  type: Border['type'],
  visit: (channel: number, at: number, start: number, advance: number) => void,
): void {
  const { height, width } = rows;
  for (let y = 0; y < height; y++) {
    const at = rows.at(y) / 4;
    for (let c = 0; c < channels; c++) {
      if (type === 'uint8') visit(c, at, y * width * channels + c, channels);
      else visit(c, at, (c * height + y) * width, 1);
    }
  }
}
