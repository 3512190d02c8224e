import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { zipSync } from 'fflate';
import { expect, test } from 'vitest';
import { checkpoint, latin1, tensor, text } from '../../../../test/helpers/checkpoint.ts';
import { isElfinError } from '../base/errors.ts';
import { readTorch } from './torch.ts';

const fixture = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../../../../test/fixtures/weights/${name}`, import.meta.url)));

const TAIL = Array.from({ length: 12 }, (_, i) => i / 8);
const plain = (name: string) =>
  Object.fromEntries([...readTorch(fixture(name)).state].map(([key, { shape, data }]) => [key, [shape, [...data]]]));
const EXPECTED = { 'tail.weight': [[2, 3, 2], TAIL], 'tail.bias': [[2], [-1.5, 0.25]], scale: [[], [3]] };

test.each(['bare.pth', 'deflated.pth', 'wrapped.pth', 'nested.pth'])('%s gives its tensors', (name) => {
  expect(plain(name)).toEqual(EXPECTED);
});

test.each(['module.pth', 'parameters.pth'])('%s, with what torch hangs on it, gives its tensors', (name) => {
  const { scale, ...layer } = EXPECTED;
  expect(plain(name)).toEqual(layer);
});

test('says where the state dict was', () => {
  const path = (name: string) => readTorch(fixture(name)).path;
  expect(['bare.pth', 'wrapped.pth', 'nested.pth'].map(path)).toEqual([[], ['state_dict'], ['model', 'state_dict']]);
});

test('averaged weights go before raw ones', () => {
  expect(readTorch(fixture('ema.pth'))).toMatchObject({ path: ['params_ema'] });
  expect(plain('ema.pth')).toEqual({ w: [[1], [1]] });
});

test('views of one storage come out row-major', () => {
  const range = (...values: number[]) => values;
  const shared = Array.from({ length: 24 }, (_, i) => i);
  expect(plain('views.pth')).toEqual({
    whole: [[24], shared],
    rows: [[3, 4], shared.slice(6, 18)],
    transposed: [[6, 4], shared.map((_, i) => (i % 4) * 6 + Math.floor(i / 4))],
    steps: [[5], range(1, 6, 11, 16, 21)],
    expanded: [[2, 2], range(3, 3, 3, 3)],
    permuted: [[4, 2, 3], shared.map((_, i) => Math.floor(i / 6) + 4 * (i % 6))],
    empty: [[0, 4], []],
  });
});

test('number types are kept by name and widened or narrowed in memory', () => {
  const { state, other } = readTorch(fixture('mixed.pth'));
  expect([...state].map(([key, { dtype, data }]) => [key, dtype, [...data]])).toEqual([
    ['b', 'BF16', [-1.5, 0.25]],
    ['d', 'F64', [-1.5, 0.25]],
  ]);
  expect([...other]).toEqual([['n', 'I64']]);
  expect(readTorch(fixture('half.pth')).state.get('tail.weight')).toMatchObject({ dtype: 'F16', shape: [2, 3, 2] });
  expect([...readTorch(fixture('half.pth')).state.get('tail.weight')!.data]).toEqual(TAIL);
});

function failure(bytes: Uint8Array): { code: string; message: string } {
  try {
    readTorch(bytes, 'x.pth');
  } catch (error) {
    if (isElfinError(error)) return error;
    throw error;
  }
  return { code: 'read', message: '' };
}

test.each([
  ['malicious.pth', 'WEIGHTS_UNSAFE', /names posix\.system.*torch\.save\(model\.state_dict\(\)/],
  ['malicious.pickle', 'WEIGHTS_UNSAFE', /posix\.system/],
  ['malicious-0.pickle', 'WEIGHTS_UNSAFE', /posix\.system/],
  ['whole-model.pth', 'WEIGHTS_UNSAFE', /torch\.nn\.modules\.container\.Sequential/],
  ['legacy.pth', 'WEIGHTS_UNSUPPORTED', /before zip.*torch\.load\("old\.pth", weights_only=True\)/],
  ['tar.pth', 'WEIGHTS_UNSUPPORTED', /before zip/],
  ['script.pt', 'WEIGHTS_UNSUPPORTED', /TorchScript/],
  ['big-endian.pth', 'WEIGHTS_UNSUPPORTED', /big-endian/],
  ['short-storage.pth', 'WEIGHTS_CORRUPT', /lacks the data of storage "0"/],
])('%s is refused with %s', (name, code, message) => {
  expect(failure(fixture(name))).toMatchObject({ code, message: expect.stringMatching(message) });
});

test('a checkpoint cut short is refused, wherever it was cut', () => {
  const bytes = fixture('bare.pth');
  for (let length = 0; length < bytes.length; length += 7)
    expect(failure(bytes.subarray(0, length)).code).toBe('WEIGHTS_CORRUPT');
});

test('a flipped byte in the data is noticed', () => {
  const bytes = fixture('bare.pth');
  const data = new DataView(bytes.buffer);
  // 11/8, the last element of tail.weight, stands once in the file.
  for (let i = 0; i < bytes.length - 4; i++) if (data.getFloat32(i, true) === 11 / 8) bytes[i]! ^= 1;
  expect(failure(bytes)).toMatchObject({ code: 'WEIGHTS_CORRUPT', message: expect.stringMatching(/checksum/) });
});

test('the hand-made checkpoint of the tests below is itself sound', () => {
  expect([...readTorch(checkpoint(`}${text('w')}${tensor(1, 0, [1], [1])}s.`)).state.get('w')!.data]).toEqual([0]);
});

const big = 2 ** 31 - 1;
test.each<[string, Uint8Array, string, RegExp]>([
  [
    'a view past its storage',
    checkpoint(`}${text('w')}${tensor(1, 1, [1], [1])}s.`),
    'WEIGHTS_CORRUPT',
    /beyond its storage/,
  ],
  [
    'a stride past its storage',
    checkpoint(`}${text('w')}${tensor(1, 0, [2], [1])}s.`),
    'WEIGHTS_CORRUPT',
    /beyond its storage/,
  ],
  ['a negative stride', checkpoint(`}${text('w')}${tensor(1, 0, [1], [-1])}s.`), 'WEIGHTS_CORRUPT', /tensor wrongly/],
  [
    'one number expanded to exabytes',
    checkpoint(`}${text('w')}${tensor(1, 0, [big, big, big], [0, 0, 0])}s.`),
    'WEIGHTS_UNSUPPORTED',
    /more than/,
  ],
  [
    'one storage under very many tensors',
    checkpoint(`}(${Array.from({ length: 40 }, (_, i) => text(`w${i}`) + tensor(1, 0, [2 ** 20], [0])).join('')}u.`),
    'WEIGHTS_UNSUPPORTED',
    /more than/,
  ],
  [
    'a storage of gigabytes that is not there',
    checkpoint(`}${text('w')}${tensor(big, 0, [1], [1])}s.`),
    'WEIGHTS_CORRUPT',
    /lacks the data/,
  ],
  ['a dict that holds itself', checkpoint(`}q\0${text('model')}h\0s.`), 'WEIGHTS_MISMATCH', /no state dict/],
  ['a list that holds itself', checkpoint(']q\0h\0a.'), 'WEIGHTS_MISMATCH', /no state dict/],
  ['a global that only looks like one', checkpoint('ctorch\nload\n.'), 'WEIGHTS_UNSAFE', /torch\.load/],
  [
    'a global named through the stack',
    checkpoint(`${text('builtins')}${text('eval')}\x93.`),
    'WEIGHTS_UNSAFE',
    /builtins\.eval/,
  ],
  ['an instance in the way of protocol 0', checkpoint('(ios\nsystem\n.'), 'WEIGHTS_UNSAFE', /os\.system/],
  ['a name with a terminal escape', checkpoint('cx\x1b[2J\ny\n.'), 'WEIGHTS_UNSAFE', /names x\?\[2J\.y/],
  ['attributes on a tensor', checkpoint(`}${text('w')}${tensor(1, 0, [1], [1])}}bs.`), 'WEIGHTS_CORRUPT', /attributes/],
  ['a call of what is no function', checkpoint('ctorch\nFloatStorage\n)R.'), 'WEIGHTS_CORRUPT', /cannot be called/],
  ['an extension opcode', checkpoint('\x82\x01.'), 'WEIGHTS_CORRUPT', /opcode 0x82/],
  ['a string longer than the pickle', checkpoint('X\xff\xff\xff\x7f.'), 'WEIGHTS_CORRUPT', /cut short/],
  ['an integer of 255 bytes', checkpoint(`\x8a\xff${'\x01'.repeat(255)}.`), 'WEIGHTS_CORRUPT', /128 bits/],
  ['a pickle past the limit', checkpoint('N'.repeat(5 << 20)), 'WEIGHTS_UNSUPPORTED', /unpacks to more/],
  ['no pickle', zipSync({ 'word/document.xml': new Uint8Array(1) }), 'WEIGHTS_UNSUPPORTED', /no PyTorch checkpoint/],
  ['no byte', new Uint8Array(0), 'WEIGHTS_CORRUPT', /is empty/],
  ['a photo', latin1('\xff\xd8\xff\xe0 JFIF'), 'WEIGHTS_CORRUPT', /neither/],
])('%s is refused', (_, bytes, code, message) => {
  expect(failure(bytes)).toMatchObject({ code, message: expect.stringMatching(message) });
});

const CODES = ['read', 'WEIGHTS_CORRUPT', 'WEIGHTS_UNSAFE', 'WEIGHTS_UNSUPPORTED', 'WEIGHTS_MISMATCH'];

test('whatever the pickle, it reads or says why not', () => {
  const opcodes = [
    ...'NJKMGX(]aeld}sut)01qrhjcibQR.',
    '\x80\x02',
    '\x85',
    '\x86',
    '\x87',
    '\x88',
    '\x93',
    '\x94',
    'q\0',
    'h\0',
  ];
  const piece = fc.oneof(fc.constantFrom(...opcodes), fc.string().map(text), fc.constant(tensor(1, 0, [1], [1])));
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
      expect(CODES).toContain(failure(checkpoint(`${pieces.join('')}.`)).code);
    }),
    { numRuns: 1000 },
  );
});

test('whatever happens to a checkpoint on its way, it reads or says why not', () => {
  const whole = ['bare.pth', 'views.pth', 'deflated.pth'].map(fixture);
  fc.assert(
    fc.property(
      fc.constantFrom(...whole),
      fc.array(fc.tuple(fc.nat(4000), fc.nat(255)), { minLength: 1, maxLength: 6 }),
      (bytes, edits) => {
        const damaged = edits.reduce((copy, [at, byte]) => copy.with(at % bytes.length, byte), bytes);
        expect(CODES).toContain(failure(damaged).code);
      },
    ),
    { numRuns: 3000 },
  );
});
