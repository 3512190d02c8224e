import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readImage } from '../../../../../test/fixtures/images/read.ts';
import { openTiff } from '../formats/ifd.ts';
import { jpeg } from '../formats/jpeg.ts';
import { exifFields, readExifRights, upright, writeExifRights, writeTiff } from './exif.ts';
import { readOrientation } from './orientation.ts';

const exif = jpeg.metadata(readImage('metadata.jpg')).exif!;

/** A block of either byte order with orientation, a maker note that points into the block, and a thumbnail. */
function camera(littleEndian: boolean): Uint8Array {
  const data = new DataView(new ArrayBuffer(120));
  const put = (at: number, tag: number, type: number, count: number, value: number) => {
    data.setUint16(at, tag, littleEndian);
    data.setUint16(at + 2, type, littleEndian);
    data.setUint32(at + 4, count, littleEndian);
    type === 3 ? data.setUint16(at + 8, value, littleEndian) : data.setUint32(at + 8, value, littleEndian);
  };
  data.setUint16(0, littleEndian ? 0x4949 : 0x4d4d);
  data.setUint16(2, 42, littleEndian);
  data.setUint32(4, 8, littleEndian);
  data.setUint16(8, 2, littleEndian);
  put(10, 274, 3, 1, 6);
  put(22, 34665, 4, 1, 40);
  data.setUint32(34, 76, littleEndian);
  // The EXIF directory: maker note (at 112, 4 bytes), pixel width.
  data.setUint16(40, 2, littleEndian);
  put(42, 37500, 7, 8, 112);
  put(54, 40962, 4, 1, 4000);
  // The thumbnail's directory and its two bytes at 108.
  data.setUint16(76, 2, littleEndian);
  put(78, 513, 4, 1, 108);
  put(90, 514, 4, 1, 2);
  const bytes = new Uint8Array(data.buffer);
  bytes.set([0xff, 0xd8], 108);
  bytes.set([1, 2, 3, 4, 5, 6, 7, 8], 112);
  return bytes;
}

describe.each([true, false])('with little-endian %s', (littleEndian) => {
  it('reads the orientation', () => {
    expect(readOrientation(camera(littleEndian))).toBe(6);
  });

  it('keeps all but orientation, sides and thumbnail, and nothing moves', () => {
    const kept = upright(camera(littleEndian))!;
    expect(kept.length).toBe(120);
    expect(readOrientation(kept)).toBe(1);
    const tiff = openTiff(kept);
    const first = tiff.directory(tiff.first);
    expect([...first.entries.keys()]).toEqual([34665]);
    expect(first.next).toBe(0);
    const inner = tiff.directory(tiff.numbers(first.entries.get(34665), 1)[0]!);
    expect([...inner.entries.keys()]).toEqual([37500]);
    expect([...tiff.value(inner.entries.get(37500)!)]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect([...kept.subarray(108, 110)]).toEqual([0, 0]);
  });

  it('reads fields alike in both byte orders', () => {
    const { subs } = exifFields(camera(littleEndian));
    expect(subs).toEqual([{ tag: 34665, fields: [{ tag: 40962, type: 4, value: Uint8Array.of(0xa0, 0x0f, 0, 0) }] }]);
  });
});

it('takes rights, and writes them alone', () => {
  expect(readExifRights(exif)).toEqual({ creator: 'Ada', notice: 'Copyright 2026 Ada' });
  const written = writeExifRights({ creator: 'Zoë', notice: '© 2026' })!;
  expect(readExifRights(written)).toEqual({ creator: 'Zoë', notice: '© 2026' });
  expect([...openTiff(written).directory(8).entries.keys()]).toEqual([315, 33432]);
  expect(writeExifRights({})).toBeUndefined();
});

it('writes directories that read back as they were', () => {
  const fields = fc.uniqueArray(
    fc.record({
      tag: fc.integer({ min: 1, max: 65535 }),
      type: fc.constantFrom(1, 2, 7),
      value: fc.uint8Array({ minLength: 1, maxLength: 30 }),
    }),
    { selector: ({ tag }) => tag, maxLength: 12 },
  );
  fc.assert(
    fc.property(fields, fields, (own, inner) => {
      const main = own.filter(({ tag }) => tag !== 34665);
      const block = writeTiff(main, [{ tag: 34665, fields: inner }]);
      const tiff = openTiff(block);
      const first = tiff.directory(tiff.first);
      const [at] = tiff.numbers(first.entries.get(34665), 1);
      for (const { tag, value } of main) expect(tiff.value(first.entries.get(tag)!)).toEqual(value);
      const second = tiff.directory(at!);
      for (const { tag, value } of inner) expect(tiff.value(second.entries.get(tag)!)).toEqual(value);
    }),
  );
});

it('never throws on damaged blocks', () => {
  const edits = fc.array(fc.tuple(fc.nat(exif.length - 1), fc.integer({ min: 0, max: 255 })), { maxLength: 12 });
  fc.assert(
    fc.property(edits, fc.nat(exif.length), (changes, length) => {
      const block = exif.slice(0, length);
      for (const [at, value] of changes) if (at < length) block[at] = value;
      expect(readOrientation(block)).toBeGreaterThanOrEqual(1);
      readExifRights(block);
      upright(block);
      exifFields(block);
    }),
    { numRuns: 2000 },
  );
});
