import { fromBinary } from '@bufbuild/protobuf';
import { ElfinError } from '../errors.ts';
import { TensorProto_DataType as DataType, type ModelProto, ModelProtoSchema, type ValueInfoProto } from './onnx_pb.js';

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

/** Reads an ONNX file's border, operators and metadata. Errors: WEIGHTS_CORRUPT for bytes that are no ONNX model. */
export function summariseOnnx(bytes: Uint8Array, where = 'the file'): OnnxSummary {
  let model: ModelProto;
  try {
    model = fromBinary(ModelProtoSchema, bytes);
  } catch (cause) {
    throw new ElfinError('WEIGHTS_CORRUPT', `${where} is not an ONNX model. Export it again.`, { cause });
  }
  const { graph } = model;
  if (!graph || graph.node.length === 0)
    throw new ElfinError('WEIGHTS_CORRUPT', `${where} holds no ONNX graph. Export it again.`);
  const counts = new Map<string, number>();
  for (const { opType, domain } of graph.node) {
    const name = domain ? `${domain}.${opType}` : opType;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  const weights = new Set(graph.initializer.map(({ name }) => name));
  return {
    bytes: bytes.byteLength,
    opset: Number(model.opsetImport.find(({ domain }) => domain === '')?.version ?? 0),
    operators: Object.fromEntries([...counts].sort(([, one], [, other]) => other - one)),
    inputs: graph.input.filter(({ name }) => !weights.has(name)).map(portOf),
    outputs: graph.output.map(portOf),
    metadata: Object.fromEntries(model.metadataProps.map(({ key, value }) => [key, value])),
  };
}

function portOf({ name, type }: ValueInfoProto): OnnxPort {
  const tensor = type?.value.case === 'tensorType' ? type.value.value : undefined;
  const shape = (tensor?.shape?.dim ?? []).map(({ value }) =>
    value.case === 'dimValue' ? Number(value.value) : value.case === 'dimParam' ? value.value : '?',
  );
  return { name, type: (DataType[tensor?.elemType ?? 0] ?? 'undefined').toLowerCase(), shape };
}
