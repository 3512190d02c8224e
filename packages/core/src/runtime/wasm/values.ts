import { ElfinError } from '../../base/errors.ts';
import type { Graph, Node } from '../../graph/graph.ts';
import { formatShape, type Shape } from '../../graph/shape.ts';
import { isPicture } from './fuse.ts';
import type { Machine } from './machine.ts';
import { type Operation, type Plane, type Small, smallShape } from './operation.ts';

/** A value of the graph as the engine holds it; names of different shape may mean the same plane or small. */
export type Held =
  | {
      readonly plane: Plane;
      /** Channels first or last, as the graph sees it; `rows` as [.., d, pixels] of so many heads, `columns` turned round. */
      readonly as: 'nchw' | 'nhwc' | 'rows' | 'columns';
      readonly heads: number;
    }
  | { readonly small: Small };

/** What is being made of a graph: its values so far, and the operations that yield them. */
export interface Lowering {
  readonly machine: Machine;
  readonly operations: Operation[];
  shape(name: string): Shape;
  /** A constant's numbers, if it is one. */
  constant(name: string): ArrayLike<number> | undefined;
  held(node: Node, input: number): Held;
  plane(node: Node, input: number): Plane;
  small(node: Node, input: number): Small;
  /** Whether an input is a picture or a view of one. */
  isPlane(node: Node, input: number): boolean;
  /** The node's first result as a new plane. */
  newPlane(node: Node): Plane;
  newSmall(node: Node): Small;
  alias(node: Node, held: Held): void;
  fail(node: Node, problem?: string): never;
}

/** Values without operations; constants become smalls when they are asked for. */
export function createLowering(graph: Graph, machine: Machine): Lowering {
  const { inputs, between, outputs, initialisers } = graph;
  const shapes = new Map([...inputs, ...between, ...outputs, ...initialisers].map(({ name, shape }) => [name, shape]));
  const constants = new Map(initialisers.map(({ name, data }) => [name, data]));
  const values = new Map<string, Held>();

  const planeOf = (name: string, shape: Shape, last = false): Plane => {
    const [, a, b, c] = shape;
    const [channels, height, width] = last ? [c, a!, b!] : [a, b!, c!];
    return { name, channels: channels as number, stride: Math.ceil((channels as number) / 4) * 16, height, width };
  };
  const smallOf = (name: string): Small => {
    const shape = smallShape(shapes.get(name)!);
    if (!shape) throw unknown(name, `a value of shape ${formatShape(shapes.get(name)!)}`);
    const known = constants.get(name);
    const length = shape.reduce((a, b) => a * b, 1);
    const address = known ? machine.store(Array.from(known, Number)) : machine.take(length);
    return { name, shape, address };
  };
  for (const { name, type, shape } of inputs) {
    const last = type === 'uint8';
    if (isPicture(shape)) values.set(name, { plane: planeOf(name, shape, last), as: last ? 'nhwc' : 'nchw', heads: 1 });
    else values.set(name, { small: smallOf(name) });
  }

  const lowering: Lowering = {
    machine,
    operations: [],
    shape: (name) => shapes.get(name)!,
    constant: (name) => {
      const data = constants.get(name);
      return data instanceof BigInt64Array ? Array.from(data, Number) : data;
    },
    held(node, input) {
      const name = node.inputs[input] ?? '';
      let found = values.get(name);
      if (!found && constants.has(name)) {
        found = { small: smallOf(name) };
        values.set(name, found);
      }
      return found ?? lowering.fail(node);
    },
    isPlane: (node, input) => {
      const found = values.get(node.inputs[input] ?? '');
      return found !== undefined && 'plane' in found;
    },
    plane(node, input) {
      const found = lowering.held(node, input);
      return 'plane' in found && found.as === 'nchw' ? found.plane : lowering.fail(node);
    },
    small(node, input) {
      const found = lowering.held(node, input);
      return 'small' in found ? found.small : lowering.fail(node);
    },
    newPlane(node) {
      const name = node.outputs[0]!;
      const plane = planeOf(name, shapes.get(name)!);
      values.set(name, { plane, as: 'nchw', heads: 1 });
      return plane;
    },
    newSmall(node) {
      const small = smallOf(node.outputs[0]!);
      values.set(small.name, { small });
      return small;
    },
    alias: (node, held) => void values.set(node.outputs[0]!, held),
    fail(node, problem) {
      const operands = node.inputs
        .map((name) => (shapes.has(name) ? formatShape(shapes.get(name)!) : '–'))
        .join(' and ');
      throw unknown(node.name, problem ?? `${node.op} of ${operands}`);
    },
  };
  return lowering;
}

function unknown(name: string, what: string): ElfinError {
  return new ElfinError('RUNTIME_UNAVAILABLE', `${name}: the engine does not know ${what}; use another runtime.`);
}
