import { ElfinError } from '../base/errors.ts';
import { fields } from './protobuf.ts';

/** A tensor at the border of an ONNX file; a side is a number or the name of a free dimension. */
export interface OnnxPort {
  readonly name: string;
  /** ONNX's name, lower case: `float`, `uint8`, … */
  readonly type: string;
  readonly shape: readonly (number | string)[];
}

/** What an ONNX file says of itself, without running it. */
export interface OnnxSummary {
  readonly bytes: number;
  /** Version of the standard operators. */
  readonly opset: number;
  /** How often each operator stands in the graph, most first. Names of other domains carry the domain. */
  readonly operators: Readonly<Record<string, number>>;
  readonly inputs: readonly OnnxPort[];
  readonly outputs: readonly OnnxPort[];
  /** Key and value pairs kept in the file. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** TensorProto.DataType, by number. */
const TYPES = (
  'undefined float uint8 int8 uint16 int16 int32 int64 string bool float16 double uint32 uint64 complex64 complex128 bfloat16 ' +
  'float8e4m3fn float8e4m3fnuz float8e5m2 float8e5m2fnuz uint4 int4 float4e2m1 float8e8m0 uint2 int2'
).split(' ');

/** Reads an ONNX file's border, operators and metadata. Errors: WEIGHTS_CORRUPT for bytes that are no ONNX model. */
export function summariseOnnx(bytes: Uint8Array, where = 'the file'): OnnxSummary {
  let summary: OnnxSummary;
  try {
    summary = summarise(bytes);
  } catch (cause) {
    throw new ElfinError('WEIGHTS_CORRUPT', `${where} is not an ONNX model. Export it again.`, { cause });
  }
  if (Object.keys(summary.operators).length === 0)
    throw new ElfinError('WEIGHTS_CORRUPT', `${where} holds no ONNX graph. Export it again.`);
  return summary;
}

// The numbers are those of the fields in onnx.proto.
function summarise(bytes: Uint8Array): OnnxSummary {
  const model = read(bytes);
  const graph = read(model.message(7));
  const counts = new Map<string, number>();
  for (const node of graph.messages(1)) {
    const [type, domain] = [node.text(4), node.text(7)];
    const name = domain ? `${domain}.${type}` : type;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  const weights = new Set(graph.messages(5).map((tensor) => tensor.text(8)));
  const standard = model.messages(8).find((set) => set.text(1) === '');
  return {
    bytes: bytes.byteLength,
    opset: standard?.integer(2) ?? 0,
    operators: Object.fromEntries([...counts].sort(([, one], [, other]) => other - one)),
    inputs: graph
      .messages(11)
      .map(portOf)
      .filter(({ name }) => !weights.has(name)),
    outputs: graph.messages(12).map(portOf),
    metadata: Object.fromEntries(model.messages(14).map((entry) => [entry.text(1), entry.text(2)])),
  };
}

function portOf(value: Message): OnnxPort {
  const tensor = read(read(value.message(2)).message(1));
  const sides = read(tensor.message(2)).messages(1);
  const shape = sides.map((side) => side.integer(1) ?? (side.text(2) || '?'));
  return { name: value.text(1), type: TYPES[tensor.integer(1) ?? 0] ?? 'undefined', shape };
}

/** Fields of a message by number; absent ones are empty, and of repeated scalars the last counts. Throws RangeError, TypeError. */
interface Message {
  message(field: number): Uint8Array;
  messages(field: number): Message[];
  text(field: number): string;
  integer(field: number): number | undefined;
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

function read(bytes: Uint8Array): Message {
  const found = new Map<number, (bigint | Uint8Array)[]>();
  for (const { field, value } of fields(bytes)) {
    const values = found.get(field);
    if (values) values.push(value);
    else found.set(field, [value]);
  }
  const bytesOf = (value: bigint | Uint8Array | undefined): Uint8Array => {
    if (typeof value === 'bigint') throw new RangeError('a number where a message belongs');
    return value ?? new Uint8Array();
  };
  return {
    message: (field) => bytesOf(found.get(field)?.at(-1)),
    messages: (field) => (found.get(field) ?? []).map((value) => read(bytesOf(value))),
    text: (field) => utf8.decode(bytesOf(found.get(field)?.at(-1))),
    integer: (field) => {
      const value = found.get(field)?.at(-1);
      if (value instanceof Uint8Array) throw new RangeError('bytes where a number belongs');
      return value === undefined ? undefined : Number(value);
    },
  };
}
