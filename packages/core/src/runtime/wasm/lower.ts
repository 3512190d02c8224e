import type { Graph, Node } from '../../graph/graph.ts';
import { fuse, isPicture } from './fuse.ts';
import type { Machine } from './machine.ts';
import type { Operation, Plane, Small } from './operation.ts';
import { PICTURE_OPERATORS } from './picture-operators.ts';
import { SMALL_OPERATORS } from './small-operators.ts';
import { createLowering, type Held, type Lowering } from './values.ts';

/** A tensor at the graph's border. */
export interface Border {
  readonly name: string;
  readonly type: 'float32' | 'uint8';
  readonly held: { readonly plane: Plane } | { readonly small: Small };
}

/** A graph as operations in the order in which they may be done. */
export interface Lowered {
  readonly operations: readonly Operation[];
  readonly inputs: readonly Border[];
  readonly outputs: readonly Border[];
}

/**
 * A graph as the machine's operations, its weights packed into the machine's memory.
 * Errors: RUNTIME_UNAVAILABLE for an operator, or a use of one, that the engine does not know.
 */
export function lower(graph: Graph, machine: Machine): Lowered {
  const l = createLowering(graph, machine);
  const outputs: Border[] = [];
  const types = new Map(graph.outputs.map(({ name, type }) => [name, type as Border['type']]));
  const border = (node: Node, input: number, name: string, type: Border['type']): Border => {
    const held = l.held(node, input);
    if ('plane' in held && held.as !== (type === 'uint8' ? 'nhwc' : 'nchw')) return l.fail(node);
    return { name, type, held };
  };
  const inputs = graph.inputs.map(({ name, type }) => ({
    name,
    type: type as Border['type'],
    held: l.held({ name, op: 'Input', inputs: [name], outputs: [], attributes: {} }, 0),
  }));
  for (const node of fuse(graph)) {
    const name = node.outputs[0]!;
    if (types.has(name)) outputs.push(border(node, 0, name, types.get(name)!));
    else lowerNode(l, node);
  }
  return { operations: l.operations, inputs, outputs };
}

function lowerNode(l: Lowering, node: Node): void {
  const view = VIEWS[node.op]?.(l, node);
  if (view) {
    l.alias(node, view);
    return;
  }
  // Of a picture's sides nothing but numbers is asked.
  const takesPlane = node.op !== 'Shape' && node.inputs.some((_, i) => l.isPlane(node, i));
  const handler = (takesPlane ? PICTURE_OPERATORS : SMALL_OPERATORS)[node.op];
  if (!handler) l.fail(node);
  handler(l, node);
}

/** Operators that only look at the same numbers in another way. */
const VIEWS: Readonly<Record<string, (l: Lowering, node: Node) => Held | undefined>> = {
  Cast: (l, node) => l.held(node, 0),
  Identity: (l, node) => l.held(node, 0),
  Reshape(l, node) {
    const held = l.held(node, 0);
    const shape = l.shape(node.outputs[0]!);
    if ('small' in held) {
      const sides = shape.map((dim) => (typeof dim === 'number' ? dim : 1));
      return { small: { ...held.small, shape: sides } };
    }
    if (held.as === 'rows' && isPicture(shape)) return { ...held, as: 'nchw', heads: 1 };
    // [N, heads, d, pixels] or [N, channels, pixels]
    const heads = shape.length === 4 ? shape[1] : 1;
    const d = shape.at(-2);
    const { channels } = held.plane;
    if (held.as !== 'nchw' || isPicture(shape) || typeof heads !== 'number' || heads * Number(d) !== channels)
      return l.fail(node);
    return { ...held, as: 'rows', heads };
  },
  Transpose(l, node) {
    const held = l.held(node, 0);
    if ('small' in held) return undefined;
    const { perm } = node.attributes;
    const order = perm && 'ints' in perm ? perm.ints.join() : '';
    if (held.as === 'nhwc' && order === '0,3,1,2') return { ...held, as: 'nchw' };
    if (held.as === 'nchw' && order === '0,2,3,1') return { ...held, as: 'nhwc' };
    if (held.as === 'rows' && order === '0,1,3,2') return { ...held, as: 'columns' };
    return l.fail(node);
  },
};
