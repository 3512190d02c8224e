import fc from 'fast-check';
import { zipSync } from 'fflate';
import { expect, test } from 'vitest';
import { openZip } from './zip.ts';

const random = (size: number) => Uint8Array.from({ length: size }, (_, i) => (i * 2654435761) >>> 24);
const refused = (message: RegExp) =>
  expect.objectContaining({ code: 'WEIGHTS_CORRUPT', message: expect.stringMatching(message) });

test('any archive gives its files, stored or deflated', () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.stringMatching(/^[a-z/.]{1,20}$/), fc.uint8Array(), { minKeys: 1 }),
      fc.constantFrom(0 as const, 6 as const),
      (files, level) => {
        const entries = openZip(zipSync(files, { level }), 'x');
        expect(Object.fromEntries([...entries].map(([name, entry]) => [name, entry.read()]))).toEqual(files);
      },
    ),
  );
});

/** Moves every number of the end record and the only entry into zip64 records, as torch and large archives do. */
function toZip64(bytes: Uint8Array): Uint8Array {
  const view = new DataView(bytes.buffer);
  const end = bytes.length - 22;
  const directory = view.getUint32(end + 16, true);
  const nameLength = view.getUint16(directory + 28, true);
  const entry = bytes.slice(directory, directory + 46 + nameLength);
  const fields = [24, 20, 42].map((at) => view.getUint32(directory + at, true));
  const entryView = new DataView(entry.buffer);
  for (const at of [24, 20, 42]) entryView.setUint32(at, 0xffffffff, true);
  entryView.setUint16(30, 28 + 6, true);
  const extra = new Uint8Array(28 + 6);
  const extraView = new DataView(extra.buffer);
  // Another extra field first: a reader has to walk.
  extraView.setUint16(0, 0xcafe, true);
  extraView.setUint16(2, 2, true);
  extraView.setUint16(6, 1, true);
  extraView.setUint16(8, 24, true);
  fields.forEach((field, i) => {
    extraView.setBigUint64(10 + 8 * i, BigInt(field), true);
  });
  const wide = new Uint8Array(56 + 20 + 22);
  const wideView = new DataView(wide.buffer);
  wideView.setUint32(0, 0x06064b50, true);
  wideView.setBigUint64(32, 1n, true);
  wideView.setBigUint64(48, BigInt(directory), true);
  wideView.setUint32(56, 0x07064b50, true);
  wideView.setBigUint64(64, BigInt(directory + entry.length + extra.length), true);
  wideView.setUint32(76, 0x06054b50, true);
  wideView.setUint16(86, 0xffff, true);
  wideView.setUint32(92, 0xffffffff, true);
  return Uint8Array.from([...bytes.subarray(0, directory), ...entry, ...extra, ...wide]);
}

test('zip64 is read', () => {
  const data = random(100);
  const entries = openZip(toZip64(zipSync({ 'a/data.pkl': data }, { level: 0 })), 'x');
  expect(entries.get('a/data.pkl')!.read()).toEqual(data);
});

test('zip64 numbers beyond the file are refused', () => {
  const bytes = toZip64(zipSync({ a: random(10) }, { level: 0 }));
  new DataView(bytes.buffer).setBigUint64(bytes.length - 22 - 20 + 8, 2n ** 63n, true);
  expect(() => openZip(bytes, 'x')).toThrow(refused(/points outside/));
});

/** Edits the one entry's record in the directory. */
function edit(bytes: Uint8Array, at: number, value: number): Uint8Array {
  const view = new DataView(bytes.buffer);
  view.setUint32(view.getUint32(bytes.length - 6, true) + at, value, true);
  return bytes;
}

test('a bomb gets no memory: what it claims is more than deflate can give', () => {
  const bomb = edit(zipSync({ a: new Uint8Array(1000) }, { level: 9 }), 24, 0xfffffffe);
  expect(() => openZip(bomb, 'x').get('a')!.read()).toThrow(refused(/claims 4294967294 bytes/));
});

test.each([
  ['shorter', 999],
  ['longer', 1001],
])('a deflated entry %s than its data is refused', (_, size) => {
  const bytes = edit(zipSync({ a: random(1000) }, { level: 9 }), 24, size);
  expect(() => openZip(bytes, 'x').get('a')!.read()).toThrow(refused(/checksum|inflated/));
});

test('a stored entry of two sizes is refused', () => {
  const bytes = edit(zipSync({ a: random(10) }, { level: 0 }), 24, 11);
  expect(() => openZip(bytes, 'x').get('a')!.read()).toThrow(refused(/two sizes/));
});

test('entries that share bytes are refused', () => {
  const bytes = zipSync({ a: random(10), b: random(10) }, { level: 0 });
  const view = new DataView(bytes.buffer);
  const second = view.getUint32(bytes.length - 6, true) + 47;
  view.setUint32(second + 42, 0, true);
  expect(() => openZip(bytes, 'x')).toThrow(refused(/overlap/));
});

test('an entry twice is refused', () => {
  const bytes = zipSync({ a: random(10), b: random(10) }, { level: 0 });
  bytes[new DataView(bytes.buffer).getUint32(bytes.length - 6, true) + 47 + 46] = 0x61;
  expect(() => openZip(bytes, 'x')).toThrow(refused(/two entries named "a"/));
});

test('an encrypted entry is refused', () => {
  expect(() => openZip(edit(zipSync({ a: random(9) }), 8, 1), 'x')).toThrow(refused(/encrypted/));
});

test('an archive without its end is refused', () => {
  expect(() => openZip(zipSync({ a: random(9) }).subarray(0, 60), 'x')).toThrow(refused(/cut short/));
  expect(() => openZip(new Uint8Array(5), 'x')).toThrow(refused(/cut short/));
});
