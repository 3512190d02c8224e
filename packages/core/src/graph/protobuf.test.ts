import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AttributeProtoSchema, TensorProtoSchema } from '../../../../test/helpers/onnx/onnx_pb.js';
import { fields, float, integer, integers, lengthOf, nested, type Parts, string } from './protobuf.ts';

const join = (parts: Parts) => new Uint8Array(Buffer.concat(parts));
const int64 = fc.integer({ min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER });

test('a general library reads what is written, and writes the same bytes', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', minLength: 1 }),
      fc.array(int64, { minLength: 1 }),
      int64.filter(Boolean),
      fc.float({ noNaN: true, noDefaultInfinity: true }).filter(Boolean),
      (name, ints, i, f) => {
        const bytes = join([...string(1, name), ...float(2, f), ...integer(3, i), ...integers(8, ints)]);
        const message = fromBinary(AttributeProtoSchema, bytes);
        expect(message).toMatchObject({ name, f, i: BigInt(i), ints: ints.map(BigInt) });
        expect(Buffer.compare(toBinary(AttributeProtoSchema, message), bytes)).toBe(0);
      },
    ),
  );
});

test('fields of what a general library wrote', () => {
  const rawData = Uint8Array.of(1, 2, 3);
  const bytes = toBinary(TensorProtoSchema, create(TensorProtoSchema, { dims: [3n], dataType: 2, name: 'w', rawData }));
  expect([...fields(bytes)]).toEqual([
    { field: 1, value: Uint8Array.of(3) },
    { field: 2, value: 2n },
    { field: 8, value: Uint8Array.of('w'.charCodeAt(0)) },
    { field: 9, value: rawData },
  ]);
});

test('nesting gives lengths; no numbers give no field', () => {
  expect(lengthOf(nested(7, [new Uint8Array(200)]))).toBe(203);
  expect(integers(1, [])).toEqual([]);
});

test('any bytes are read to their end or refused', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      try {
        for (const { value } of fields(bytes)) {
          if (value instanceof Uint8Array) expect(value.length).toBeLessThanOrEqual(bytes.length);
        }
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError);
      }
    }),
  );
});
