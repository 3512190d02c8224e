import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isElfinError } from '../base/errors.ts';
import type { Tensor } from '../base/tensor.ts';
import {
  decodeInferRequest,
  decodeInferResponse,
  encodeInferRequest,
  encodeInferResponse,
  HEADER_LENGTH,
  type Message,
  type NamedTensor,
} from './open-inference.ts';

const shape = fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 4 });
const tensor: fc.Arbitrary<Tensor> = shape.chain((sides) => {
  const length = sides.reduce((product, side) => product * side, 1);
  const exactly = { minLength: length, maxLength: length };
  return fc.oneof(
    fc.uint8Array(exactly).map((data): Tensor => ({ type: 'uint8', shape: sides, data })),
    fc
      .float32Array({ ...exactly, noNaN: true, noDefaultInfinity: true })
      // JSON has no -0.
      .map((data): Tensor => ({ type: 'float32', shape: sides, data: data.map((value) => value + 0) })),
  );
});
const tensors: fc.Arbitrary<NamedTensor[]> = fc.uniqueArray(
  fc.record({ name: fc.stringMatching(/^[a-z]{1,8}$/), tensor }),
  { maxLength: 4, selector: (entry) => entry.name },
);
const lengthOf = (message: Message) => message.headers[HEADER_LENGTH] ?? null;

test('a request survives the wire', () => {
  fc.assert(
    fc.property(tensors, fc.boolean(), (inputs, binary) => {
      const request = { id: 'r1', parameters: { timeout: 5_000_000 }, inputs, outputs: [{ name: 'restored', binary }] };
      const message = encodeInferRequest(request);
      expect(decodeInferRequest(message.body, lengthOf(message))).toEqual(request);
    }),
  );
});

test('a response survives the wire, as bytes and as numbers', () => {
  fc.assert(
    fc.property(tensors, fc.boolean(), (outputs, binary) => {
      const response = { model: 'derain-lw-start-0123456789ab', version: '1', outputs };
      const message = encodeInferResponse(response, () => binary);
      expect(decodeInferResponse(message.body, lengthOf(message))).toEqual(response);
    }),
  );
});

test('the frame is what the protocol says', () => {
  const message = encodeInferRequest({
    inputs: [{ name: 'image', tensor: { type: 'uint8', shape: [1, 2], data: Uint8Array.of(7, 8) } }],
    outputs: [],
  });
  const length = Number(lengthOf(message));
  expect(JSON.parse(new TextDecoder().decode(message.body.subarray(0, length)))).toEqual({
    parameters: { binary_data_output: true },
    inputs: [{ name: 'image', datatype: 'UINT8', shape: [1, 2], parameters: { binary_data_size: 2 } }],
  });
  expect([...message.body.subarray(length)]).toEqual([7, 8]);
});

describe('lies are refused by name, before anything is allocated', () => {
  const image = { name: 'image', datatype: 'FP32', shape: [1, 2], parameters: { binary_data_size: 8 } };
  const cases: readonly [string, object | string, number, string | undefined, RegExp][] = [
    ['header longer than the body', { inputs: [] }, 0, '999', /claims 999 bytes/],
    ['header length that is no number', { inputs: [] }, 0, '1e3', /not a length/],
    ['header over its cap', { inputs: [] }, 0, '9999999', /longer than/],
    ['not JSON', '{', 0, undefined, /not JSON/],
    ['a list', '[]', 0, undefined, /not a JSON object/],
    ['no inputs', {}, 0, undefined, /inputs is not a list/],
    ['size against shape', { inputs: [{ ...image, shape: [3] }] }, 8, undefined, /needs 12/],
    ['too few bytes', { inputs: [image] }, 7, undefined, /up to 8 of a binary part of 7/],
    ['too many bytes', { inputs: [image] }, 9, undefined, /1 bytes follow/],
    ['NaN in a shape', { inputs: [{ ...image, shape: [null] }] }, 8, undefined, /not a positive whole number/],
    ['a negative side', { inputs: [{ ...image, shape: [-1, -2] }] }, 8, undefined, /not a positive whole number/],
    ['a huge shape', { inputs: [{ ...image, shape: [2 ** 40, 2 ** 40] }] }, 8, undefined, /more than/],
    ['unknown type', { inputs: [{ ...image, datatype: 'BYTES' }] }, 8, undefined, /datatype is none of/],
    ['twice one name', { inputs: [image, image] }, 16, undefined, /repeats "image"/],
    [
      'numbers out of range',
      { inputs: [{ name: 'a', datatype: 'UINT8', shape: [1], data: [256] }] },
      0,
      undefined,
      /no UINT8/,
    ],
    ['too few numbers', { inputs: [{ name: 'a', datatype: 'UINT8', shape: [2], data: [1] }] }, 0, undefined, /needs 2/],
    ['no data at all', { inputs: [{ name: 'a', datatype: 'UINT8', shape: [2] }] }, 0, undefined, /neither data nor/],
    [
      'an object as a parameter',
      { inputs: [], parameters: { a: {} } },
      0,
      undefined,
      /parameters.a is not a plain value/,
    ],
  ];
  test.each(cases)('%s', (_, header, bytes, length, reason) => {
    const json = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header));
    const body = new Uint8Array(json.length + bytes);
    body.set(json);
    expect(() => decodeInferRequest(body, length ?? String(json.length))).toThrow(
      expect.objectContaining({ code: 'OPTION_INVALID', message: expect.stringMatching(reason) }),
    );
  });
});

test('whatever the bytes are, the answer is a value or one coded error', () => {
  const sound = encodeInferRequest({
    inputs: [{ name: 'image', tensor: { type: 'uint8', shape: [2, 2], data: new Uint8Array(4) } }],
    outputs: [],
  });
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.tuple(fc.nat(sound.body.length - 1), fc.nat(255)).map(([at, value]) => sound.body.with(at, value)),
    fc.json().map((text) => new TextEncoder().encode(text)),
  );
  fc.assert(
    fc.property(bytes, fc.option(fc.oneof(fc.nat(300).map(String), fc.string())), (body, length) => {
      for (const decode of [decodeInferRequest, decodeInferResponse]) {
        try {
          decode(body, length);
        } catch (error) {
          expect(isElfinError(error) && ['OPTION_INVALID', 'REMOTE_PROTOCOL'].includes(error.code)).toBe(true);
        }
      }
    }),
    { numRuns: 500 },
  );
});
