import { ElfinError } from '../base/errors.ts';
import { type Dim, formatShape, type Shape, sameShape } from './shape.ts';

/** Element types under ONNX's names. */
export type ElementType = 'float32' | 'float16' | 'uint8' | 'int64' | 'bool';

/** A tensor that flows through the graph. */
export interface Value {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: Shape;
}

/** An attribute of an ONNX node. */
export type Attribute =
  | { readonly int: number }
  | { readonly ints: readonly number[] }
  | { readonly float: number }
  | { readonly string: string };

/** One operator with the names of its operands and results. */
export interface Node {
  readonly name: string;
  readonly op: string;
  /** Names of values; an empty name leaves an optional input out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, Attribute>>;
  /** Adds up over many values, or squares: needs float32 where the rest makes do with less. */
  readonly wide?: true;
}

/** A tensor stored in the file. */
export interface Initialiser {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly number[];
  readonly data: Float32Array | BigInt64Array | Uint16Array;
}

/** A parameter on its way into the graph: algebra on it is done in `data` before it becomes an initialiser. */
export interface Weight {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array | Float64Array;
}

/** What the network asked of its checkpoint. */
export interface ParameterUse extends ParameterTraits {
  readonly key: string;
  readonly shape: readonly number[];
}

/** What sets a parameter apart. */
export interface ParameterTraits {
  /** Keys of one `shared` name store one tensor. */
  readonly shared?: string;
  /** In the checkpoint, but never read. */
  readonly unused?: true;
}

/** Multiply-adds of one operator. */
export interface Cost {
  readonly scope: string;
  readonly kind: 'convolution' | 'attention';
  readonly macs: Dim;
}

/** A finished graph, ready for {@link encodeOnnx}. */
export interface Graph {
  readonly name: string;
  readonly opset: number;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  readonly nodes: readonly Node[];
  /** What the nodes yield and no output publishes. */
  readonly between: readonly Value[];
  readonly initialisers: readonly Initialiser[];
  readonly parameters: readonly ParameterUse[];
  readonly costs: readonly Cost[];
}

/** Yields a parameter's values, row-major, for a key and the shape that the network expects. */
export type ParameterSource = (key: string, shape: readonly number[]) => Float32Array;

/** A place in the network: its path spells the checkpoint's keys, names the nodes, and heads every error. */
export interface Scope {
  readonly path: string;
  readonly opset: number;
  /** The scope of a part: `s.at('attn')` of `dsnet.former.0` is `dsnet.former.0.attn`. */
  at(part: string): Scope;
  /** The parameter `<path>.<name>`. */
  parameter(name: string, shape: readonly number[], traits?: ParameterTraits): Weight;
  /** Makes a (prepared) weight a value of the graph. */
  weight(weight: Weight): Value;
  /** A small constant; equal ones are stored once. */
  constant(values: readonly number[], shape: readonly number[], type?: 'float32' | 'int64'): Value;
  /** Appends an operator; one value a result. Shape inference is the caller's (ops.ts). */
  node(
    op: string,
    inputs: readonly (Value | undefined)[],
    results: readonly { readonly type: ElementType; readonly shape: Shape }[],
    attributes?: Readonly<Record<string, Attribute>>,
    wide?: boolean,
  ): readonly Value[];
  count(kind: Cost['kind'], macs: Dim): void;
  /** Throws GRAPH_INVALID naming this scope. */
  fail(problem: string, ...shapes: readonly Shape[]): never;
}

/** Collects inputs, nodes and outputs; {@link createGraph} makes one. */
export interface GraphBuilder {
  readonly root: Scope;
  input(name: string, type: ElementType, shape: Shape): Value;
  /** Publishes a value under a name of its own; its shape must be the one stated. */
  output(name: string, value: Value, shape: Shape): void;
  /** The finished graph; the builder is not to be used afterwards. */
  finish(): Graph;
}

/**
 * Starts an empty graph. Names of nodes and values derive from scope and order alone, so that equal definitions give equal bytes.
 * @param source where parameters come from; it throws for what it does not hold.
 */
export function createGraph(name: string, opset: number, source: ParameterSource): GraphBuilder {
  const inputs: Value[] = [];
  const outputs: Value[] = [];
  const nodes: Node[] = [];
  const between: Value[] = [];
  const initialisers: Initialiser[] = [];
  const parameters: ParameterUse[] = [];
  const costs: Cost[] = [];
  const taken = new Set<string>();
  const constants = new Map<string, Value>();

  const unique = (wanted: string): string => {
    let name = wanted;
    for (let n = 1; taken.has(name); n++) name = `${wanted}_${n}`;
    taken.add(name);
    return name;
  };

  const fail = (path: string, problem: string, shapes: readonly Shape[]): never => {
    const list = shapes.map(formatShape).join(' and ');
    const where = path === '' ? name : path;
    throw new ElfinError('GRAPH_INVALID', `${where}: ${problem}${list === '' ? '.' : `: ${list}.`}`, {
      data: { scope: where, shapes: shapes.map(formatShape) },
    });
  };

  const scope = (path: string): Scope => ({
    path,
    opset,
    at: (part) => scope(path === '' ? part : `${path}.${part}`),
    parameter(part, shape, traits) {
      const key = path === '' ? part : `${path}.${part}`;
      parameters.push({ key, shape, ...traits });
      return { name: key, shape, data: source(key, shape) };
    },
    weight(weight) {
      const name = unique(weight.name);
      const data = weight.data instanceof Float32Array ? weight.data : Float32Array.from(weight.data);
      initialisers.push({ name, type: 'float32', shape: weight.shape, data });
      return { name, type: 'float32', shape: weight.shape };
    },
    constant(values, shape, type = 'float32') {
      const key = `${type} ${shape.join()} ${values.join()}`;
      const known = constants.get(key);
      if (known) return known;
      const name = unique(`constant.${constants.size}`);
      const data = type === 'int64' ? BigInt64Array.from(values, BigInt) : Float32Array.from(values);
      initialisers.push({ name, type, shape, data });
      const value: Value = { name, type, shape };
      constants.set(key, value);
      return value;
    },
    node(op, operands, results, attributes = {}, wide = false) {
      const name = unique(path === '' ? op : `${path}/${op}`);
      const values = results.map((result, i) => ({ ...result, name: i === 0 ? name : unique(`${name}:${i}`) }));
      between.push(...values);
      nodes.push({
        name,
        op,
        inputs: operands.map((value) => value?.name ?? ''),
        outputs: values.map((value) => value.name),
        attributes,
        ...(wide && { wide }),
      });
      return values;
    },
    count: (kind, macs) => void costs.push({ scope: path, kind, macs }),
    fail: (problem, ...shapes) => fail(path, problem, shapes),
  });

  const root = scope('');
  return {
    root,
    input(name, type, shape) {
      const value: Value = { name: unique(name), type, shape };
      inputs.push(value);
      return value;
    },
    output(name, value, shape) {
      if (!sameShape(value.shape, shape))
        fail('', `output ${name} has another shape than stated`, [value.shape, shape]);
      nodes.push({
        name: `${name}/Identity`,
        op: 'Identity',
        inputs: [value.name],
        outputs: [unique(name)],
        attributes: {},
      });
      outputs.push({ name, type: value.type, shape });
    },
    finish: () => ({
      name,
      opset,
      inputs,
      outputs,
      ...reachable(nodes, between, initialisers, outputs),
      parameters,
      costs,
    }),
  };
}

/** Without the nodes, values and initialisers that no output needs. */
function reachable(
  nodes: readonly Node[],
  between: readonly Value[],
  initialisers: readonly Initialiser[],
  outputs: readonly Value[],
) {
  const needed = new Set(outputs.map((value) => value.name));
  const kept = nodes.toReversed().filter((node) => {
    const used = node.outputs.some((name) => needed.has(name));
    if (used) for (const name of node.inputs) needed.add(name);
    return used;
  });
  const isNeeded = ({ name }: { readonly name: string }) => needed.has(name);
  return { nodes: kept.reverse(), between: between.filter(isNeeded), initialisers: initialisers.filter(isNeeded) };
}
