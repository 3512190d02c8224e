import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isElfinError } from '../base/errors.ts';
import { readSafetensors, writeSafetensors } from './safetensors.ts';
import type { WeightTensor } from './state-dict.ts';

function file(header: unknown, data: Uint8Array | number = 0): Uint8Array {
  const text = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header));
  const rest = typeof data === 'number' ? new Uint8Array(data) : data;
  const out = new Uint8Array(8 + text.length + rest.length);
  new DataView(out.buffer).setBigUint64(0, BigInt(text.length), true);
  out.set(text, 8);
  out.set(rest, 8 + text.length);
  return out;
}

const tensor = (dtype: string, shape: number[], begin: number, end: number) => ({
  dtype,
  shape,
  data_offsets: [begin, end],
});

const f32 = (shape: number[], ...values: number[]): WeightTensor => ({
  dtype: 'F32',
  shape,
  data: Float32Array.from(values),
});

test('what is written is read, in any order of insertion with the same bytes', () => {
  const forward = new Map([
    ['b.weight', f32([2, 1], 1, -2.5)],
    ['a.bias', f32([3], 0, 1e-30, 7)],
    ['10', f32([], 4)],
    ['__proto__', f32([0])],
  ]);
  const backward = new Map([...forward].reverse());
  const bytes = writeSafetensors(forward, { metadata: { task: 'derain', crop: '128' } });
  expect(writeSafetensors(backward, { metadata: { crop: '128', task: 'derain' } })).toEqual(bytes);
  const read = readSafetensors(bytes);
  expect(read.metadata).toEqual({ crop: '128', task: 'derain' });
  expect([...read.state.keys()].sort()).toEqual([...forward.keys()].sort());
  for (const [name, { shape, data }] of forward) expect(read.state.get(name)).toEqual({ dtype: 'F32', shape, data });
});

test('float16 storage rounds to 11 bits and keeps its type', () => {
  const bytes = writeSafetensors(new Map([['w', f32([2], 1 / 3, -2)]]), { dtype: 'F16' });
  const { state } = readSafetensors(bytes);
  expect(state.get('w')!.dtype).toBe('F16');
  expect(state.get('w')!.data[0]).toBeCloseTo(1 / 3, 3);
  expect(state.get('w')!.data[1]).toBe(-2);
});

test('a value too large for float16 is refused by name', () => {
  expect(() => writeSafetensors(new Map([['w', f32([1], 70000)]]), { dtype: 'F16' })).toThrow(
    expect.objectContaining({ code: 'WEIGHTS_NOT_FINITE', message: expect.stringContaining('w holds 70000') }),
  );
});

test('every floating type becomes float32, integers are named only', () => {
  const data = new Uint8Array(8 + 2 + 2 + 16);
  const view = new DataView(data.buffer);
  view.setFloat64(0, 0.5, true);
  view.setUint16(8, 0x3c00, true);
  view.setUint16(10, 0xc040, true);
  const { state, other } = readSafetensors(
    file(
      {
        steps: tensor('I64', [2], 12, 28),
        d: tensor('F64', [1], 0, 8),
        h: tensor('F16', [1], 8, 10),
        b: tensor('BF16', [1], 10, 12),
      },
      data,
    ),
  );
  expect([...state].map(([name, t]) => [name, t.dtype, t.data[0]])).toEqual([
    ['d', 'F64', 0.5],
    ['h', 'F16', 1],
    ['b', 'BF16', -3],
  ]);
  expect([...other]).toEqual([['steps', 'I64']]);
});

test('a file inside a larger buffer, at an odd offset, is read', () => {
  const bytes = writeSafetensors(new Map([['w', f32([1], 3)]]));
  const shifted = new Uint8Array(bytes.length + 1);
  shifted.set(bytes, 1);
  expect(readSafetensors(shifted.subarray(1)).state.get('w')!.data[0]).toBe(3);
});

const one = tensor('F32', [1], 0, 4);
test.each<[string, Uint8Array, RegExp]>([
  ['no byte', new Uint8Array(0), /only 0 bytes/],
  ['a header longer than the file', file({ w: one }, 4).subarray(0, 20), /ends inside its header/],
  ['a header of exabytes', Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0x7f, 0x7b), /claims a header/],
  ['no JSON', file('{"w":'), /not JSON/],
  ['no UTF-8', Uint8Array.of(4, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0x22, 0xff, 0x7d), /not JSON/],
  ['an array', file([]), /not a JSON object/],
  ['space before the object', file(' {}'), /not a JSON object/],
  [
    'a tensor named twice',
    file('{"w":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"w":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'),
    /twice/,
  ],
  ['a field named twice', file('{"w":{"dtype":"U8","shape":[9],"shape":[0],"data_offsets":[0,0]}}'), /twice/],
  ['a field too many', file({ w: { ...one, more: 1 } }, 4), /exactly dtype/],
  ['a field too few', file({ w: { dtype: 'F32', shape: [1] } }, 4), /data_offsets/],
  ['a tensor that is no object', file({ w: null }), /exactly dtype/],
  ['an unknown dtype', file({ w: tensor('F12', [1], 0, 4) }, 4), /unknown dtype/],
  ['a dtype of Object.prototype', file({ w: tensor('toString', [1], 0, 4) }, 4), /unknown dtype/],
  ['a negative size', file({ w: tensor('F32', [-1], 0, 4) }, 4), /list of sizes/],
  ['a fractional size', file({ w: tensor('F32', [0.5], 0, 2) }, 2), /list of sizes/],
  ['a product beyond integers', file({ w: tensor('F32', [2 ** 40, 2 ** 40], 0, 4) }, 4), /need/],
  ['offsets that disagree with the shape', file({ w: tensor('F32', [2], 0, 4) }, 4), /need 8/],
  ['offsets backwards', file({ w: tensor('F32', [1], 4, 0) }, 4), /need 4/],
  ['an overlap', file({ v: one, w: tensor('F32', [1], 2, 6) }, 6), /overlaps/],
  ['the same bytes twice', file({ v: one, w: one }, 4), /overlaps/],
  ['a hole', file({ v: one, w: tensor('F32', [1], 8, 12) }, 12), /hole/],
  ['data cut short', file({ w: one }, 3), /cut short/],
  ['bytes after the last tensor', file({ w: one }, 5), /1 bytes after/],
  ['metadata that is no map of strings', file({ __metadata__: { a: 1 } }), /__metadata__/],
])('%s is refused', (_, bytes, message) => {
  expect(() => readSafetensors(bytes, 'x.safetensors')).toThrow(
    expect.objectContaining({ code: 'WEIGHTS_CORRUPT', message: expect.stringMatching(message) }),
  );
});

function codeOf(read: () => unknown): string {
  try {
    read();
    return 'read';
  } catch (error) {
    return isElfinError(error) ? error.code : String(error);
  }
}

test('whatever the bytes, it reads or says WEIGHTS_CORRUPT', () => {
  const anyHeader = fc.json().map((json) => file(json));
  const nearHeader = fc
    .record({
      name: fc.string(),
      dtype: fc.constantFrom('F32', 'F16', 'I64', 'BOOL', 'X'),
      shape: fc.array(fc.oneof(fc.nat(4), fc.double(), fc.integer())),
      offsets: fc.array(fc.oneof(fc.nat(16), fc.maxSafeInteger()), { maxLength: 3 }),
      size: fc.nat(32),
    })
    .map(({ name, dtype, shape, offsets, size }) => file({ [name]: { dtype, shape, data_offsets: offsets } }, size));
  const good = writeSafetensors(new Map([['some.weight', f32([2, 2], 1, 2, 3, 4)]]), { metadata: { a: 'b' } });
  const damaged = fc
    .array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 })
    .map((edits) => edits.reduce((bytes, [at, byte]) => bytes.with(at, byte), good as Uint8Array));
  const cut = fc.nat(good.length).map((length) => good.subarray(0, length));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array(), anyHeader, nearHeader, damaged, cut), (bytes) => {
      expect(['read', 'WEIGHTS_CORRUPT']).toContain(codeOf(() => readSafetensors(bytes)));
    }),
    { numRuns: 2000 },
  );
});

test('any state survives a round trip', () => {
  const tensors = fc.array(fc.float({ noNaN: true }), { maxLength: 6 });
  fc.assert(
    fc.property(fc.dictionary(fc.string(), tensors), (record) => {
      fc.pre(!Object.hasOwn(record, '__metadata__'));
      const state = new Map(Object.entries(record).map(([name, values]) => [name, f32([values.length], ...values)]));
      const read = readSafetensors(writeSafetensors(state)).state;
      expect(new Map([...read].sort())).toEqual(new Map([...state].sort()));
    }),
  );
});
