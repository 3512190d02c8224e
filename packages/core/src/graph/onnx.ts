import { joinBytes } from '../base/bytes.ts';
import { encodeHalf } from '../weights/half.ts';
import type { Attribute, ElementType, Graph, Initialiser, Node, Value } from './graph.ts';
import { float, integer, integers, lengthOf, nested, type Parts, string } from './protobuf.ts';
import { formatDim, volume } from './shape.ts';

/** TensorProto.DataType. */
const DATA_TYPES = { float32: 1, uint8: 2, int64: 7, bool: 9, float16: 10 } as const satisfies Record<
  ElementType,
  number
>;
/** AttributeProto.AttributeType. */
const [FLOAT, INT, STRING, INTS] = [1, 2, 3, 7];

/** How a graph is written down. */
export interface OnnxOptions {
  /** `float16` stores weights in half the bytes; runtimes widen them once, at load. */
  readonly storage?: 'float32' | 'float16';
  /** Key and value pairs kept in the file. */
  readonly metadata?: Readonly<Record<string, string>>;
}

// Initialisers below this many values stay float32: they are constants, or too small to matter.
const HALF_FROM = 64;

/**
 * A finished graph as the bytes of an ONNX model, after onnx.proto (github.com/onnx/onnx), fields in the order of
 * their numbers. Equal graphs give equal bytes.
 */
export function encodeOnnx(graph: Graph, { storage = 'float32', metadata = {} }: OnnxOptions = {}): Uint8Array {
  const initialisers: Parts[] = [];
  const nodes: Parts[] = [];
  for (const { name, type, shape, data } of graph.initialisers) {
    if (storage === 'float16' && data instanceof Float32Array && data.length >= HALF_FROM) {
      const half = `${name}.half`;
      initialisers.push(tensor({ name: half, type: 'float16', shape }, encodeHalf(data)));
      const attributes = { to: { int: DATA_TYPES.float32 } };
      nodes.push(node({ name: `${name}/Cast`, op: 'Cast', inputs: [half], outputs: [name], attributes }));
    } else {
      initialisers.push(tensor({ name, type, shape }, data));
    }
  }
  nodes.push(...graph.nodes.map(node));
  const contents = [
    ...each(1, nodes),
    ...string(2, graph.name),
    ...each(5, initialisers),
    ...each(11, graph.inputs.map(valueInfo)),
    ...each(12, graph.outputs.map(valueInfo)),
    ...each(13, graph.between.filter(isTold).map(valueInfo)),
  ];
  const model = [
    // The lowest that each opset needs, so that older runtimes load the file.
    ...integer(1, graph.opset >= 19 ? 9 : 8),
    ...string(2, 'elfin'),
    ...nested(7, contents),
    ...nested(8, integer(2, graph.opset)),
    ...each(
      14,
      Object.entries(metadata).map(([key, value]) => [...string(1, key), ...string(2, value)]),
    ),
  ];
  return joinBytes(model, lengthOf(model));
}

const each = (field: number, messages: readonly Parts[]): Parts => messages.flatMap((parts) => nested(field, parts));

function tensor({ name, type, shape }: Omit<Initialiser, 'data'>, data: Initialiser['data'] | Uint16Array): Parts {
  // ONNX's raw data is little-endian, as every platform that runs JavaScript is.
  const raw = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return [...integers(1, shape), ...integer(2, DATA_TYPES[type]), ...string(8, name), ...nested(9, [raw])];
}

function node({ name, op, inputs, outputs, attributes }: Node): Parts {
  return [
    ...inputs.flatMap((input) => string(1, input)),
    ...outputs.flatMap((output) => string(2, output)),
    ...string(3, name),
    ...string(4, op),
    ...each(
      5,
      Object.entries(attributes).map(([key, value]) => [...string(1, key), ...attribute(value)]),
    ),
  ];
}

// Zero is proto3's default and is left out, as every writer of it does.
function attribute(value: Attribute): Parts {
  if ('int' in value) return [...(value.int ? integer(3, value.int) : []), ...integer(20, INT!)];
  if ('ints' in value) return [...integers(8, value.ints), ...integer(20, INTS!)];
  if ('float' in value) return [...(value.float ? float(2, value.float) : []), ...integer(20, FLOAT!)];
  return [...string(4, value.string), ...integer(20, STRING!)];
}

// Values of so many numbers a pixel, or more, are large.
const LARGE = 2;

/**
 * ONNX Runtime infers sides that are numbers, but not H/2. At load it looks for each value's place among those of dead values of
 * the same size; without their sides it finds none, looks at ever more of them, and takes twice as long (elf-lw: 1.1 s
 * instead of 0.55 s). Large values are better left to its arena: told of them as well it loads in 0.4 s, but a run takes a third
 * more memory (elf-lw at 768 × 512: 541 MB instead of 419; 401 where it is told of none).
 */
function isTold({ shape }: Value): boolean {
  const size = volume(shape);
  if (typeof size === 'number') return false;
  return size.symbols.length < 3 || size.numerator < LARGE * size.denominator;
}

function valueInfo({ name, type, shape }: Value): Parts {
  const sides = shape.map((side) => (typeof side === 'number' ? integer(1, side) : string(2, formatDim(side))));
  const tensorType = [...integer(1, DATA_TYPES[type]), ...nested(2, each(1, sides))];
  return [...string(1, name), ...nested(2, nested(1, tensorType))];
}
