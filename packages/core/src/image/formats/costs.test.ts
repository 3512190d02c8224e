import { constants, deflateRawSync, deflateSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { openTiff } from './ifd.ts';
import { avif } from './isobmff.ts';
import { png } from './png.ts';
import { pngChunk } from './png-write.ts';
import { tiff } from './tiff.ts';

// Each of these files kept a reader that believes it busy for a minute or more; the time limit of a test is far below that.

const latin1 = (text: string) => Uint8Array.from(text, (letter) => letter.charCodeAt(0));
const join = (...parts: readonly Uint8Array[]) => new Uint8Array(Buffer.concat(parts));
const repeat = (part: Uint8Array, count: number) => new Uint8Array(Buffer.concat(Array(count).fill(part)));
const be16 = (value: number) => Uint8Array.of(value >> 8, value);
const be32 = (value: number) => Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);

describe('AVIF', () => {
  const box = (type: string, ...body: Uint8Array[]) =>
    join(be32(8 + body.reduce((sum, { length }) => sum + length, 0)), latin1(type), ...body);
  const associated = (item: number, ...indices: number[]) =>
    box('ipma', be32(0), be32(1), be16(item), Uint8Array.of(indices.length, ...indices));

  /** 48 × 32, item 1; property 2 says alpha of whoever has it. */
  function file({
    ipma = [],
    iref = [],
    iloc = be32(0),
    behind = [],
  }: {
    ipma?: Uint8Array[];
    iref?: Uint8Array[];
    iloc?: Uint8Array;
    behind?: Uint8Array[];
  }): Uint8Array {
    const ispe = box('ispe', be32(0), be32(48), be32(32));
    const auxC = box('auxC', be32(0), latin1('urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0'));
    const infe = box('infe', Uint8Array.of(2, 0, 0, 0), be16(1), be16(0), latin1('Exif\0'));
    return join(
      box('ftyp', latin1('avif\0\0\0\0mif1')),
      box(
        'meta',
        be32(0),
        box('pitm', be32(0), be16(1)),
        box('iinf', be32(0), be16(1), infe),
        box('iloc', iloc),
        box('iprp', box('ipco', ispe, auxC), associated(1, 1), ...ipma),
        box('iref', be32(0), ...iref),
        ...behind,
      ),
    );
  }

  it('reads associations up to the end of their box, whatever number is announced', () => {
    const lying = repeat(box('ipma', be32(0), be32(600_000), be16(7), Uint8Array.of(0)), 20_000);
    const padding = box('free', new Uint8Array(1_200_000));
    expect(avif.header(file({ ipma: [lying], behind: [padding] }))).toMatchObject({ width: 48, height: 32 });
  });

  it('reads targets up to the end of their box, whatever number is announced', () => {
    const lying = box('auxl', be16(2), be16(0xffff), be16(9));
    const bytes = file({
      ipma: [associated(2, 2)],
      // The primary image's number stands only behind the box.
      iref: [lying, box('none', repeat(be16(1), 70_000)), repeat(lying, 20_000), new Uint8Array(140_000)],
    });
    expect(avif.header(bytes).hasAlpha).toBe(false);
    const honest = file({ ipma: [associated(2, 2)], iref: [box('auxl', be16(2), be16(1), be16(1))] });
    expect(avif.header(honest).hasAlpha).toBe(true);
  });

  it('looks at an auxiliary image once, however often it is named', () => {
    const named = box('auxl', be16(2), be16(1), be16(1));
    const many = associated(2, ...Array.from({ length: 255 }, () => 1));
    const bytes = file({ ipma: [repeat(many, 1_000)], iref: [repeat(named, 20_000)] });
    expect(avif.header(bytes).hasAlpha).toBe(false);
  });

  it('takes no item that is larger than its file', () => {
    // One item of 60,000 extents, each the whole file.
    const extent = join(be32(0), be32(400_000));
    const head = [be32(0), Uint8Array.of(0x44, 0), be16(1), be16(1), be16(0)];
    const located = (count: number, part: Uint8Array) => join(...head, be16(count), repeat(part, count));
    const bytes = file({ iloc: located(60_000, extent) });
    expect(bytes.length).toBeGreaterThan(400_000);
    expect(avif.metadata(bytes)).toEqual({});
    expect(avif.metadata(file({ iloc: located(2, join(be32(0), be32(16))) })).exif).toBeDefined();
  });

  it('counts the frames of however many tracks', () => {
    const stsz = repeat(box('stsz', be32(0), be32(0), be32(3)), 200_000);
    const inner = ['stbl', 'minf', 'mdia', 'trak', 'moov'].reduce((body, type) => box(type, body), stsz);
    const bytes = join(file({}), inner);
    bytes.set(latin1('avis'), 8);
    expect(avif.header(bytes).frames).toBe(3);
  });
});

describe('TIFF', () => {
  const le16 = (value: number) => be16(value).reverse();
  const le32 = (value: number) => be32(value).reverse();
  const entry = (tag: number, type: number, count: number, value: number) =>
    join(le16(tag), le16(type), le32(count), le32(value));
  const directory = (entries: readonly Uint8Array[], next = 0) => join(le16(entries.length), ...entries, le32(next));
  const sides = [entry(256, 4, 1, 48), entry(257, 4, 1, 32)];

  it('counts no pages of directories that are thousands of times the file', () => {
    const [pages, length] = [9_999, 0xffff];
    const chain = 60_000;
    const bytes = new Uint8Array(100 + 2 + chain + 12 * length + 8);
    const data = new DataView(bytes.buffer);
    bytes.set(join(latin1('II'), le16(42), le32(8), directory(sides, 100)));
    for (let i = 0, at = 100; i < pages; i++, at += 6) {
      data.setUint16(at, length, true);
      data.setUint32(at + 2 + 12 * length, at + 6, true);
    }
    // The first, and two more until there were entries enough.
    expect(tiff.header(bytes).frames).toBe(3);
  });

  it.each([273, 279, 258])('believes no count of tag %i that the file cannot hold', (tag) => {
    const entries = [...sides, entry(tag, 4, 0xffffffff, 8)];
    const bytes = join(latin1('II'), le16(42), le32(8), directory(entries));
    const { directory: read, numbers, first } = openTiff(bytes);
    expect(() => numbers(read(first).entries.get(tag), Number.POSITIVE_INFINITY)).toThrow(
      expect.objectContaining({ code: 'IMAGE_TRUNCATED' }),
    );
  });

  it('copies no values that lie over one another', () => {
    // An EXIF directory of 20,000 fields, each of them the whole file.
    const at = 8 + 2 + 12 * 3 + 4;
    const fields = Array.from({ length: 20_000 }, (_, i) => entry(0x9000 + i, 7, 240_000, 0));
    const entries = [...sides, entry(34665, 4, 1, at)];
    const bytes = join(latin1('II'), le16(42), le32(8), directory(entries), directory(fields));
    expect(bytes.length).toBeGreaterThan(240_000);
    expect(tiff.metadata(bytes)).toEqual({});
  });
});

describe('PNG', () => {
  const profile = (deflated: Uint8Array) => pngChunk('iCCP', join(latin1('x\0\0'), deflated));
  const file = (...parts: Uint8Array[]) => join(Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10), ...parts);
  /** 16 MB of zeros in 16 KB, over and over. */
  function bomb(times: number): Uint8Array {
    const block = deflateRawSync(new Uint8Array(16e6), { level: 9, finishFlush: constants.Z_FULL_FLUSH });
    return join(Uint8Array.of(0x78, 0x9c), repeat(block, times), Uint8Array.of(3, 0, 0, 0, 0, 0));
  }

  it('leaves a profile as soon as it has become too large', () => {
    expect(png.metadata(file(profile(bomb(2_000))))).toEqual({});
  });

  it('inflates one profile and no other', () => {
    const sound = new Uint8Array(1000).fill(7);
    const bombs = repeat(profile(bomb(1)), 2_000);
    expect(png.metadata(file(profile(deflateSync(sound)), bombs)).icc).toEqual(sound);
  });

  it.each([1, 3, 4, 5, 9_000, 16_384, 16_388, 40_000, 4 * 1024 * 1024])('takes a profile of %i bytes', (length) => {
    const sound = Uint8Array.from({ length }, (_, i) => (i * i * 31) >> 5);
    const stored = deflateSync(sound, { level: 0 });
    for (const deflated of [stored, deflateSync(sound)]) {
      expect(Buffer.compare(png.metadata(file(profile(deflated))).icc!, sound)).toBe(0);
    }
    expect(png.metadata(file(profile(stored.subarray(0, -5)))).icc).toBeUndefined();
  });
});
