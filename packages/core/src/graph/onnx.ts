import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { encodeHalf } from '../weights/half.ts';
import type { Attribute, ElementType, Graph, Initialiser, Value } from './graph.ts';
import {
  type AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  TensorProto_DataType as DataType,
  ModelProtoSchema,
  type NodeProtoSchema,
  type TensorProtoSchema,
  type ValueInfoProtoSchema,
} from './onnx_pb.js';
import { formatDim } from './shape.ts';

const DATA_TYPES = {
  float32: DataType.FLOAT,
  float16: DataType.FLOAT16,
  uint8: DataType.UINT8,
  int64: DataType.INT64,
  bool: DataType.BOOL,
} as const satisfies Record<ElementType, DataType>;

export interface OnnxOptions {
  /** `float16` stores weights in half the bytes; runtimes widen them once, at load. */
  readonly storage?: 'float32' | 'float16';
  /** Key and value pairs kept in the file. */
  readonly metadata?: Readonly<Record<string, string>>;
}

// Initialisers below this many values stay float32: they are constants, or too small to matter.
const HALF_FROM = 64;

/** A finished graph as the bytes of an ONNX model. Equal graphs give equal bytes. */
export function encodeOnnx(graph: Graph, { storage = 'float32', metadata = {} }: OnnxOptions = {}): Uint8Array {
  const initializer: MessageInitShape<typeof TensorProtoSchema>[] = [];
  const node: MessageInitShape<typeof NodeProtoSchema>[] = [];
  for (const tensor of graph.initialisers) {
    if (storage === 'float16' && tensor.data instanceof Float32Array && tensor.data.length >= HALF_FROM) {
      const half = `${tensor.name}.half`;
      initializer.push({
        ...tensorHeader(tensor, half),
        dataType: DataType.FLOAT16,
        rawData: bytesOf(encodeHalf(tensor.data)),
      });
      const to = attribute('to', { int: DataType.FLOAT });
      node.push({ name: `${tensor.name}/Cast`, opType: 'Cast', input: [half], output: [tensor.name], attribute: [to] });
    } else {
      initializer.push({
        ...tensorHeader(tensor, tensor.name),
        dataType: DATA_TYPES[tensor.type],
        rawData: bytesOf(tensor.data),
      });
    }
  }
  for (const { name, op, inputs, outputs, attributes } of graph.nodes) {
    node.push({
      name,
      opType: op,
      input: [...inputs],
      output: [...outputs],
      attribute: Object.entries(attributes).map(([key, value]) => attribute(key, value)),
    });
  }
  const model = create(ModelProtoSchema, {
    // The lowest that each opset needs, so that older runtimes load the file.
    irVersion: graph.opset >= 19 ? 9n : 8n,
    opsetImport: [{ domain: '', version: BigInt(graph.opset) }],
    producerName: 'elfin',
    graph: {
      name: graph.name,
      input: graph.inputs.map(valueInfo),
      output: graph.outputs.map(valueInfo),
      initializer,
      node,
    },
    metadataProps: Object.entries(metadata).map(([key, value]) => ({ key, value })),
  });
  return toBinary(ModelProtoSchema, model);
}

function tensorHeader(tensor: Initialiser, name: string): MessageInitShape<typeof TensorProtoSchema> {
  return { name, dims: tensor.shape.map(BigInt) };
}

/** ONNX's raw data is little-endian, as every platform that runs JavaScript is. */
function bytesOf(data: Float32Array | BigInt64Array | Uint16Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
}

function attribute(name: string, value: Attribute): MessageInitShape<typeof AttributeProtoSchema> {
  if ('int' in value) return { name, type: AttributeType.INT, i: BigInt(value.int) };
  if ('ints' in value) return { name, type: AttributeType.INTS, ints: value.ints.map(BigInt) };
  if ('float' in value) return { name, type: AttributeType.FLOAT, f: value.float };
  return { name, type: AttributeType.STRING, s: new TextEncoder().encode(value.string) };
}

function valueInfo({ name, type, shape }: Value): MessageInitShape<typeof ValueInfoProtoSchema> {
  const dim = shape.map((side) => ({
    value:
      typeof side === 'number'
        ? ({ case: 'dimValue', value: BigInt(side) } as const)
        : ({ case: 'dimParam', value: formatDim(side) } as const),
  }));
  return { name, type: { value: { case: 'tensorType', value: { elemType: DATA_TYPES[type], shape: { dim } } } } };
}
