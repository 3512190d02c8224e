import { type ByteView, corrupt, viewBytes } from './bytes.ts';

/** One field of an image file directory. */
export interface Entry {
  readonly tag: number;
  /** TIFF 6.0's types 1…12, BigTIFF's 13, 16…18. */
  readonly type: number;
  readonly count: number;
  /** Offset of the entry itself, for those who patch. */
  readonly at: number;
  /** Offset of the value. */
  readonly valueAt: number;
}

export interface Directory {
  /** Fields that it announces, those of repeated tags included. */
  readonly length: number;
  readonly entries: ReadonlyMap<number, Entry>;
  /** Offset of the next directory; 0 ends the chain. */
  readonly next: number;
  /** Offset of the field that holds `next`. */
  readonly nextAt: number;
  /** Whether that field is there: careless writers end a directory without it, and its values stand in its place. */
  readonly linked: boolean;
}

/** A TIFF structure: a TIFF file, or the block that EXIF is. */
export interface Tiff {
  readonly view: ByteView;
  readonly littleEndian: boolean;
  /** BigTIFF: 64-bit offsets, entries of 20 bytes. */
  readonly big: boolean;
  readonly first: number;
  directory(offset: number): Directory;
  /** Integer values (BYTE, SHORT, LONG and their like), at most `most`. Other types give none. Errors: IMAGE_TRUNCATED. */
  numbers(entry: Entry | undefined, most?: number): number[];
  value(entry: Entry): Uint8Array;
}

/** Bytes a value takes, by type. */
export const TYPE_SIZES: Readonly<Record<number, number>> = {
  1: 1,
  2: 1,
  3: 2,
  4: 4,
  5: 8,
  6: 1,
  7: 1,
  8: 2,
  9: 4,
  10: 8,
  11: 4,
  12: 8,
  13: 4,
  16: 8,
  17: 8,
  18: 8,
};

/** Throws IMAGE_CORRUPT for another signature; everything read later is bounds-checked (IMAGE_TRUNCATED). */
export function openTiff(bytes: Uint8Array): Tiff {
  const view = viewBytes(bytes, 'TIFF');
  const order = view.text(0, 2);
  if (order !== 'II' && order !== 'MM') throw corrupt('TIFF', 'no byte order mark');
  const le = order === 'II';
  const magic = view.u16(2, le);
  if (magic !== 42 && magic !== 43) throw corrupt('TIFF', `version ${magic}`);
  const big = magic === 43;
  const offset = (at: number) => {
    if (!big) return view.u32(at, le);
    const [low, high] = le ? [view.u32(at, le), view.u32(at + 4, le)] : [view.u32(at + 4), view.u32(at)];
    return high * 2 ** 32 + low;
  };

  const entry = (at: number): Entry => {
    const type = view.u16(at + 2, le);
    const count = offset(at + 4);
    const field = at + (big ? 12 : 8);
    const inline = (TYPE_SIZES[type] ?? 0) * count <= (big ? 8 : 4);
    return { tag: view.u16(at, le), type, count, at, valueAt: inline ? field : offset(field) };
  };

  return {
    view,
    littleEndian: le,
    big,
    first: offset(big ? 8 : 4),
    directory(start) {
      const count = big ? offset(start) : view.u16(start, le);
      const size = big ? 20 : 12;
      const body = start + (big ? 8 : 2);
      const nextAt = body + count * size;
      // Checked before the loop: a lying count must not cost a walk.
      view.slice(start, nextAt - start);
      const entries = new Map<number, Entry>();
      for (let i = 0; i < count; i++) {
        const found = entry(body + i * size);
        if (!entries.has(found.tag)) entries.set(found.tag, found);
      }
      const behind = nextAt + (big ? 8 : 4);
      const taken = [...entries.values()].some(({ valueAt }) => valueAt >= nextAt && valueAt < behind);
      const linked = behind <= view.length && !taken;
      return { length: count, entries, next: linked ? offset(nextAt) : 0, nextAt, linked };
    },
    numbers(found, most = 64) {
      if (!found) return [];
      const size = TYPE_SIZES[found.type];
      const read = readers(view, le, offset)[found.type];
      if (!read || !size) return [];
      const count = Math.min(found.count, most);
      // Checked before there is an array of that length: the count is the file's word.
      view.slice(found.valueAt, count * size);
      return Array.from({ length: count }, (_, i) => read(found.valueAt + i * size));
    },
    value(found) {
      return view.slice(found.valueAt, (TYPE_SIZES[found.type] ?? 1) * found.count);
    },
  };
}

function readers(view: ByteView, le: boolean, offset: (at: number) => number): Record<number, (at: number) => number> {
  const long = (at: number) => view.u32(at, le);
  return {
    1: (at) => view.u8(at),
    3: (at) => view.u16(at, le),
    4: long,
    7: (at) => view.u8(at),
    13: long,
    16: offset,
    18: offset,
  };
}
