/**
 * The Open Inference Protocol v2 over HTTP with Triton's binary tensor extension, in both directions.
 *
 * A body is a JSON header, whose length stands in `Inference-Header-Content-Length`, followed by the raw little-endian
 * tensors in the order of the header. Without that HTTP header the whole body is JSON and tensors are number arrays.
 * Lengths and shapes are checked before anything is allocated or viewed.
 *
 * Sources: https://github.com/kserve/open-inference-protocol (REST), Triton's protocol/extension_binary_data.md.
 */
import { ElfinError, type ElfinErrorCode } from '../base/errors.ts';
import { elements, type Tensor, type TensorType } from '../base/tensor.ts';

export const HEADER_LENGTH = 'Inference-Header-Content-Length';

/** The protocol's names of the element types that elfin's graphs have. */
export const DATATYPES = { float32: 'FP32', uint8: 'UINT8' } as const satisfies Record<TensorType, string>;
const BYTES = { float32: 4, uint8: 1 } as const satisfies Record<TensorType, number>;
const TYPES = new Map<string, TensorType>(Object.entries(DATATYPES).map(([type, name]) => [name, type as TensorType]));

export type Parameters = Readonly<Record<string, string | number | boolean>>;

export interface NamedTensor {
  readonly name: string;
  readonly tensor: Tensor;
}

export interface InferRequest {
  readonly id?: string;
  /** `timeout` is in microseconds and bounds queueing only; `priority` 1 is highest, 0 is the server's default. */
  readonly parameters?: Parameters;
  readonly inputs: readonly NamedTensor[];
  /** Wanted outputs; empty asks for all. */
  readonly outputs: readonly { readonly name: string; readonly binary: boolean }[];
}

export interface InferResponse {
  readonly id?: string;
  readonly model: string;
  readonly version?: string;
  readonly parameters?: Parameters;
  readonly outputs: readonly NamedTensor[];
}

/** A body and the headers that go with it. */
export interface Message {
  readonly body: Uint8Array<ArrayBuffer>;
  readonly headers: Readonly<Record<string, string>>;
}

/** What a message may cost the reader. */
export interface MessageLimits {
  /** Most bytes of the JSON header; JSON-only bodies may be as long as `bytes`. */
  readonly header: number;
  /** Most bytes of the whole body. */
  readonly bytes: number;
  /** Most tensors in one message. */
  readonly tensors: number;
}

export const MESSAGE_LIMITS: MessageLimits = { header: 1 << 20, bytes: 256 * 1024 * 1024, tensors: 16 };

/** Tensors travel as bytes; `binary` of each output says how the answer's shall. */
export function encodeInferRequest(request: InferRequest): Message {
  const outputs = request.outputs.map(({ name, binary }) => ({ name, parameters: { binary_data: binary } }));
  return frame(request.inputs, (inputs) => ({
    ...(request.id !== undefined && { id: request.id }),
    parameters: { ...request.parameters, ...(outputs.length === 0 && { binary_data_output: true }) },
    inputs,
    ...(outputs.length > 0 && { outputs }),
  }));
}

/** `binary` names the outputs that travel as bytes; the others become JSON numbers. */
export function encodeInferResponse(response: InferResponse, binary: (name: string) => boolean = () => true): Message {
  return frame(
    response.outputs,
    (outputs) => ({
      ...(response.id !== undefined && { id: response.id }),
      model_name: response.model,
      model_version: response.version ?? '1',
      ...(response.parameters && { parameters: response.parameters }),
      outputs,
    }),
    binary,
  );
}

function frame(
  tensors: readonly NamedTensor[],
  header: (described: readonly object[]) => object,
  binary: (name: string) => boolean = () => true,
): Message {
  const chunks: Uint8Array[] = [];
  const described = tensors.map(({ name, tensor }) => {
    const base = { name, datatype: DATATYPES[tensor.type], shape: tensor.shape };
    if (!binary(name)) return { ...base, data: Array.from(tensor.data) };
    const bytes = littleEndian(tensor);
    chunks.push(bytes);
    return { ...base, parameters: { binary_data_size: bytes.byteLength } };
  });
  const json = new TextEncoder().encode(JSON.stringify(header(described)));
  if (chunks.length === 0) return { body: json, headers: { 'Content-Type': 'application/json' } };
  const body = new Uint8Array(chunks.reduce((length, chunk) => length + chunk.byteLength, json.byteLength));
  body.set(json);
  let offset = json.byteLength;
  for (const chunk of chunks) {
    body.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return {
    body,
    headers: { 'Content-Type': 'application/octet-stream', [HEADER_LENGTH]: String(json.byteLength) },
  };
}

/** Every platform that runs JavaScript engines of note is little-endian, like the wire: a view is enough. */
function littleEndian({ data }: Tensor): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/**
 * Reads a request. `headerLength` is the value of `Inference-Header-Content-Length`, null where it is absent.
 * Errors: OPTION_INVALID, naming the field; nothing else.
 */
export function decodeInferRequest(
  body: Uint8Array,
  headerLength: string | null,
  limits: MessageLimits = MESSAGE_LIMITS,
): InferRequest {
  const read = createReader('OPTION_INVALID', 'request', body, headerLength, limits);
  const inputs = read.tensors('inputs');
  const all = read.parameters(read.header, 'parameters');
  const byDefault = all?.binary_data_output === true;
  const outputs = read.list('outputs', { optional: true }).map((output, index) => {
    const parameters = read.parameters(output, `outputs[${index}].parameters`);
    const wanted = parameters?.binary_data;
    return {
      name: read.text(output.name, `outputs[${index}].name`),
      binary: wanted === undefined ? byDefault : wanted === true,
    };
  });
  const id = read.id();
  return { ...(id !== undefined && { id }), ...(all && { parameters: all }), inputs, outputs };
}

/** Reads a worker's answer. Errors: REMOTE_PROTOCOL, naming the field; nothing else. */
export function decodeInferResponse(
  body: Uint8Array,
  headerLength: string | null,
  limits: MessageLimits = MESSAGE_LIMITS,
): InferResponse {
  const read = createReader('REMOTE_PROTOCOL', 'response', body, headerLength, limits);
  const version = read.header.model_version;
  const id = read.id();
  const parameters = read.parameters(read.header, 'parameters');
  return {
    ...(id !== undefined && { id }),
    model: read.text(read.header.model_name, 'model_name'),
    ...(typeof version === 'string' && { version }),
    ...(parameters && { parameters }),
    outputs: read.tensors('outputs'),
  };
}

type Json = Readonly<Record<string, unknown>>;

function createReader(
  code: ElfinErrorCode,
  what: string,
  body: Uint8Array,
  headerLength: string | null,
  limits: MessageLimits,
) {
  const fail = (reason: string): never => {
    throw new ElfinError(code, `The inference ${what} is malformed: ${reason}.`, { data: { reason } });
  };
  const isObject = (value: unknown): value is Json =>
    typeof value === 'object' && value !== null && !Array.isArray(value);

  if (body.byteLength > limits.bytes) fail(`${body.byteLength} bytes are more than the ${limits.bytes} allowed`);
  const jsonBytes = headerLength === null ? body.byteLength : parseLength(headerLength);
  const header = parseHeader();
  const binary = body.subarray(jsonBytes);

  function parseLength(text: string): number {
    if (!/^\d{1,10}$/.test(text)) fail(`${HEADER_LENGTH} is "${text.slice(0, 40)}", not a length`);
    const length = Number(text);
    if (length > limits.header) fail(`a header of ${length} bytes is longer than the ${limits.header} allowed`);
    if (length > body.byteLength) fail(`the header claims ${length} bytes of a body of ${body.byteLength}`);
    return length;
  }

  function parseHeader(): Json {
    let parsed: unknown;
    try {
      parsed = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body.subarray(0, jsonBytes)));
    } catch {
      return fail('its header is not JSON');
    }
    return isObject(parsed) ? parsed : fail('its header is not a JSON object');
  }

  function text(value: unknown, where: string): string {
    return typeof value === 'string' && value.length > 0 && value.length <= 256
      ? value
      : fail(`${where} is not a name`);
  }

  function list(field: string, { optional = false } = {}): readonly Json[] {
    const value = header[field];
    if (value === undefined && optional) return [];
    if (!Array.isArray(value)) return fail(`${field} is not a list`);
    if (value.length > limits.tensors) return fail(`${field} has ${value.length} entries, more than ${limits.tensors}`);
    return value.every(isObject) ? value : fail(`${field} holds something other than objects`);
  }

  function parameters(owner: Json, where: string): Parameters | undefined {
    const value = owner.parameters;
    if (value === undefined) return undefined;
    if (!isObject(value)) return fail(`${where} is not an object`);
    for (const [name, entry] of Object.entries(value))
      if (!['string', 'number', 'boolean'].includes(typeof entry))
        fail(`${where}.${name.slice(0, 40)} is not a plain value`);
    return value as Parameters;
  }

  function tensors(field: string): NamedTensor[] {
    const names = new Set<string>();
    let offset = 0;
    const read = list(field).map((entry, index) => {
      const where = `${field}[${index}]`;
      const name = text(entry.name, `${where}.name`);
      if (names.has(name)) fail(`${where}.name repeats "${name}"`);
      names.add(name);
      const type = TYPES.get(String(entry.datatype));
      if (type === undefined) return fail(`${where}.datatype is none of ${[...TYPES.keys()].join(', ')}`);
      const shape = shapeOf(entry.shape, `${where}.shape`, type);
      const size = parameters(entry, `${where}.parameters`)?.binary_data_size;
      if (size === undefined) return { name, tensor: fromNumbers(entry.data, type, shape, where) };
      if (entry.data !== undefined) fail(`${where} has both data and binary_data_size`);
      const expected = elements(shape) * BYTES[type];
      if (size !== expected) fail(`${where}.parameters.binary_data_size is ${size}, but its shape needs ${expected}`);
      if (offset + expected > binary.byteLength)
        fail(`${where} needs bytes up to ${offset + expected} of a binary part of ${binary.byteLength}`);
      const tensor = fromBytes(binary.subarray(offset, offset + expected), type, shape);
      offset += expected;
      return { name, tensor };
    });
    if (offset !== binary.byteLength) fail(`${binary.byteLength - offset} bytes follow the last tensor`);
    return read;
  }

  function shapeOf(value: unknown, where: string, type: TensorType): number[] {
    if (!Array.isArray(value) || value.length > 8) return fail(`${where} is not a list of at most 8 sides`);
    let size: number = BYTES[type];
    for (const side of value) {
      if (!Number.isSafeInteger(side) || side < 1)
        fail(`${where} holds ${JSON.stringify(side)?.slice(0, 40)}, not a positive whole number`);
      size *= side;
      if (size > limits.bytes) fail(`${where} describes more than ${limits.bytes} bytes`);
    }
    return value;
  }

  function fromNumbers(data: unknown, type: TensorType, shape: readonly number[], where: string): Tensor {
    if (!Array.isArray(data)) return fail(`${where} has neither data nor binary_data_size`);
    const numbers: unknown[] = data.flat(8);
    const count = elements(shape);
    if (numbers.length !== count) fail(`${where}.data has ${numbers.length} values, but its shape needs ${count}`);
    const fits =
      type === 'uint8'
        ? (value: unknown) => Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 255
        : (value: unknown) => typeof value === 'number' && Number.isFinite(value);
    if (!numbers.every(fits)) fail(`${where}.data holds a value that is no ${DATATYPES[type]}`);
    return type === 'uint8'
      ? { type, shape, data: Uint8Array.from(numbers as number[]) }
      : { type, shape, data: Float32Array.from(numbers as number[]) };
  }

  function id(): string | undefined {
    const value = header.id;
    return value === undefined || value === '' ? undefined : text(value, 'id');
  }

  return { header, text, list, parameters, tensors, id };
}

function fromBytes(bytes: Uint8Array, type: TensorType, shape: readonly number[]): Tensor {
  if (type === 'uint8') return { type, shape, data: bytes };
  // A Float32Array can only look at aligned bytes; the header's length is whatever it is.
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : new Uint8Array(bytes);
  return { type, shape, data: new Float32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 4) };
}
