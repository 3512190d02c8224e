import type { Graph, Node } from '../../graph/graph.ts';
import type { Shape } from '../../graph/shape.ts';

/**
 * A graph's nodes with what belongs together made one: a layer norm's seven operators, a gate with its product, and so on. Operands
 * that only say what a result's shape says already (the targets of Reshape) are gone, and what nothing reads any more.
 */
export function fuse({ nodes, between, inputs, initialisers, outputs }: Graph): readonly Node[] {
  const shapes = new Map<string, Shape>(
    [...between, ...inputs, ...initialisers].map(({ name, shape }) => [name, shape]),
  );
  const makers = new Map(nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
  const readers = new Map<string, number>();
  for (const { inputs } of nodes) for (const name of inputs) readers.set(name, (readers.get(name) ?? 0) + 1);
  const constants = new Map(initialisers.map(({ name, data }) => [name, data]));
  /** The node that made a value, if it is that operator. */
  const made = (name: string | undefined, op: string) => {
    const node = makers.get(name ?? '');
    return node?.op === op ? node : undefined;
  };
  /** The same, where nobody else reads the value. */
  const own = (name: string | undefined, op: string) => (readers.get(name ?? '') === 1 ? made(name, op) : undefined);

  const normalise = (node: Node): Node | undefined => {
    const [centred, deviation] = node.inputs;
    const sum = made(made(deviation, 'Sqrt')?.inputs[0], 'Add');
    const square = made(made(sum?.inputs[0], 'ReduceMean')?.inputs[0], 'Mul');
    const sub = made(centred, 'Sub');
    const mean = made(sub?.inputs[1], 'ReduceMean');
    const epsilon = constants.get(sum?.inputs[1] ?? '')?.[0];
    if (epsilon === undefined || !mean || square?.inputs.some((name) => name !== centred)) return undefined;
    if (mean.inputs[0] !== sub!.inputs[0] || !meansOverChannels(shapes.get(mean.outputs[0]!))) return undefined;
    return { ...node, op: 'Normalise', inputs: [mean.inputs[0]!], attributes: { epsilon: { float: Number(epsilon) } } };
  };
  const quadrants = (node: Node): Node | undefined => {
    const turn = made(node.inputs[0], 'Transpose');
    const cut = made(turn?.inputs[0], 'Reshape');
    const order = turn?.attributes.perm as { ints: readonly number[] } | undefined;
    if (order?.ints.join() !== '0,2,4,1,3,5' || !cut) return undefined;
    const [, , rows, , columns] = shapes.get(cut.outputs[0]!)!;
    return rows === 2 && columns === 2 ? { ...node, op: 'Quadrants', inputs: [cut.inputs[0]!] } : undefined;
  };
  const replacements: Readonly<Record<string, (node: Node) => Node | undefined>> = {
    Div: normalise,
    Reshape: (node) => quadrants(node) ?? { ...node, inputs: node.inputs.slice(0, 1) },
    Mul(node) {
      const gelu = own(node.inputs[0], 'Gelu');
      return gelu && { ...node, op: 'GeluMul', inputs: [gelu.inputs[0]!, node.inputs[1]!] };
    },
    Add(node) {
      const gate = own(node.inputs[0], 'Mul');
      const [a, vector] = gate?.inputs.map((name) => shapes.get(name)) ?? [];
      if (!isPicture(a) || !isVector(vector) || !isPicture(shapes.get(node.inputs[1]!))) return undefined;
      return { ...node, op: 'GateAdd', inputs: [...gate!.inputs, node.inputs[1]!] };
    },
  };
  const fused = nodes.map((node) => replacements[node.op]?.(node) ?? node);
  return readable(
    fused,
    outputs.map(({ name }) => name),
  );
}

/** Rows and columns of pixels, whose number is known when the graph runs. */
export function isPicture(shape: Shape | undefined): boolean {
  return shape?.length === 4 && shape.slice(1).filter((dim) => typeof dim !== 'number').length === 2;
}

/** One number a channel. */
function isVector(shape: Shape | undefined): boolean {
  return shape?.length === 4 && shape[2] === 1 && shape[3] === 1;
}

const meansOverChannels = (shape: Shape | undefined) => isPicture(shape) && shape![1] === 1;

function readable(nodes: readonly Node[], outputs: readonly string[]): Node[] {
  const needed = new Set(outputs);
  return nodes
    .toReversed()
    .filter((node) => {
      const read = node.outputs.some((name) => needed.has(name));
      if (read) for (const name of node.inputs) needed.add(name);
      return read;
    })
    .reverse();
}
