import { inflateSync } from 'fflate';
import { crc32 } from '../base/crc32.ts';
import { ElfinError } from '../base/errors.ts';

/** One file of an archive; nothing is unpacked before {@link ZipEntry.read}. */
export interface ZipEntry {
  readonly name: string;
  /** Unpacked bytes, as the directory states them; `read` makes sure of them. */
  readonly size: number;
  /** @throws WEIGHTS_CORRUPT where the data is not what the directory says */
  read(): Uint8Array;
}

/** Deflate's best case, 258 bytes from 2 bits: an entry that claims more lies, and is not given memory. */
const BEST_RATIO = 1032;

/**
 * Lists a zip archive from its central directory, zip64 included; stored and deflated entries, as torch and common zip tools
 * write them.
 * @throws WEIGHTS_CORRUPT where records point outside the file, entries overlap or share a name
 * @see https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
 */
export function openZip(bytes: Uint8Array, where: string): ReadonlyMap<string, ZipEntry> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fail = (problem: string, cause?: unknown) =>
    new ElfinError('WEIGHTS_CORRUPT', `Cannot read weights: ${where} ${problem}. Fetch or save it again.`, { cause });
  try {
    const records = readDirectory(view, fail);
    checkOverlap(records, fail);
    const entries = new Map<string, ZipEntry>();
    for (const record of records) {
      if (entries.has(record.name)) throw fail(`has two entries named ${JSON.stringify(record.name.slice(0, 200))}`);
      entries.set(record.name, { name: record.name, size: record.size, read: () => unpack(bytes, record, fail) });
    }
    return entries;
  } catch (error) {
    // DataView's own bounds check is the bounds check.
    if (error instanceof RangeError) throw fail('is cut short, or its zip directory points outside the file', error);
    throw error;
  }
}

type Fail = (problem: string, cause?: unknown) => ElfinError;

interface Record {
  readonly name: string;
  readonly method: number;
  readonly crc: number;
  readonly packed: number;
  readonly size: number;
  /** Where the packed bytes begin. */
  readonly start: number;
}

function readDirectory(view: DataView, fail: Fail): Record[] {
  const { count, offset } = findDirectory(view, fail);
  const records: Record[] = [];
  let at = offset;
  for (let i = 0; i < count; i++) {
    if (view.getUint32(at, true) !== 0x02014b50) throw fail('has a damaged zip directory');
    if (view.getUint16(at + 8, true) & 1) throw fail('has encrypted entries');
    const nameLength = view.getUint16(at + 28, true);
    const extraLength = view.getUint16(at + 30, true);
    const wide = readZip64Extra(view, at + 46 + nameLength, extraLength);
    const take = (value: number) => (value === 0xffffffff ? wide() : value);
    // In this order: the zip64 extra holds only the fields that overflowed.
    const size = take(view.getUint32(at + 24, true));
    const packed = take(view.getUint32(at + 20, true));
    const local = take(view.getUint32(at + 42, true));
    if (view.getUint32(local, true) !== 0x04034b50) throw fail('has a zip entry without its header');
    const start = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
    if (start + packed > view.byteLength) throw fail('is cut short');
    records.push({
      name: new TextDecoder().decode(new Uint8Array(view.buffer, view.byteOffset + at + 46, nameLength)),
      method: view.getUint16(at + 10, true),
      crc: view.getUint32(at + 16, true),
      packed,
      size,
      start,
    });
    at += 46 + nameLength + extraLength + view.getUint16(at + 32, true);
  }
  return records;
}

/** The end record is the last in the file, before a comment of at most 65535 bytes. */
function findDirectory(view: DataView, fail: Fail): { count: number; offset: number } {
  const first = Math.max(0, view.byteLength - 22 - 0xffff);
  for (let end = view.byteLength - 22; end >= first; end--) {
    if (view.getUint32(end, true) !== 0x06054b50) continue;
    const count = view.getUint16(end + 10, true);
    const offset = view.getUint32(end + 16, true);
    if (count !== 0xffff && offset !== 0xffffffff) return { count, offset };
    if (end < 20 || view.getUint32(end - 20, true) !== 0x07064b50) throw fail('lacks the zip64 directory it announces');
    const wide = toNumber(view.getBigUint64(end - 12, true));
    if (view.getUint32(wide, true) !== 0x06064b50) throw fail('has a damaged zip64 directory');
    return {
      count: toNumber(view.getBigUint64(wide + 32, true)),
      offset: toNumber(view.getBigUint64(wide + 48, true)),
    };
  }
  throw fail('is cut short: the directory at the end of a zip archive is not there');
}

/** Next 64-bit number of the extra field 0x0001, each time that it is called. */
function readZip64Extra(view: DataView, start: number, length: number): () => number {
  let at = start;
  while (at + 4 <= start + length) {
    const size = view.getUint16(at + 2, true);
    if (view.getUint16(at, true) === 1) {
      let next = at + 4;
      const end = next + size;
      return () => {
        next += 8;
        if (next > end) throw new RangeError('zip64 extra field too short');
        return toNumber(view.getBigUint64(next - 8, true));
      };
    }
    at += 4 + size;
  }
  return () => {
    throw new RangeError('zip64 extra field missing');
  };
}

function toNumber(value: bigint): number {
  if (value > Number.MAX_SAFE_INTEGER) throw new RangeError('zip64 number too large');
  return Number(value);
}

/** Entries that share bytes are how a small archive becomes an enormous one. */
function checkOverlap(records: readonly Record[], fail: Fail): void {
  let end = 0;
  for (const record of records.toSorted((a, b) => a.start - b.start)) {
    if (record.start < end) throw fail('has zip entries that overlap');
    end = record.start + record.packed;
  }
}

function unpack(bytes: Uint8Array, { name, method, crc, packed, size, start }: Record, fail: Fail): Uint8Array {
  const data = bytes.subarray(start, start + packed);
  const entry = `zip entry ${JSON.stringify(name.slice(0, 200))}`;
  if (method !== 0 && method !== 8) throw fail(`has a ${entry} packed in an unknown way (method ${method})`);
  if (method === 0 && packed !== size) throw fail(`has a stored ${entry} of two sizes`);
  if (method === 8 && size > packed * BEST_RATIO) throw fail(`has a ${entry} that claims ${size} bytes from ${packed}`);
  let out: Uint8Array;
  try {
    out = method === 0 ? data : inflateSync(data, { out: new Uint8Array(size) });
  } catch (cause) {
    throw fail(`has a ${entry} that cannot be inflated`, cause);
  }
  if (out.length !== size || crc32(out) !== crc) throw fail(`has a damaged ${entry}: its checksum does not hold`);
  return out;
}
