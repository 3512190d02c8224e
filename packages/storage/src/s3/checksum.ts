import { ElfinError } from '@elfin/core';
import { sha256 } from '@noble/hashes/sha2.js';
import { s3Error } from './errors.ts';
import type { HttpAnswer } from './transport.ts';

/** A checksum that grows with what comes. */
interface Running {
  update(bytes: Uint8Array): unknown;
  digest(): Uint8Array;
}

/** What S3 may say of an object whole, in the order of what is quickest to check. */
const ALGORITHMS: readonly (readonly [header: string, create: () => Running])[] = [
  ['x-amz-checksum-crc32', () => crc32(0xedb88320)],
  ['x-amz-checksum-crc32c', () => crc32(0x82f63b78)],
  ['x-amz-checksum-crc64nvme', crc64],
  ['x-amz-checksum-sha256', () => sha256.create()],
];

/**
 * The body of an answer, which fails with STORE_FAILED at its end where it is shorter or longer than was said, or other than
 * the object's checksum. What the connection has unpacked (`content-encoding`) cannot be held against either.
 */
export function checkedBody(
  { headers, body }: HttpAnswer,
  { bucket, key }: { readonly bucket: string; readonly key: string },
): ReadableStream<Uint8Array> {
  const packed = headers.has('content-encoding');
  const length = packed || !headers.has('content-length') ? undefined : Number(headers.get('content-length'));
  const [wanted, running] = (packed ? undefined : checksumOf(headers)) ?? [];
  let received = 0;
  const damage = () => {
    if (length !== undefined && received !== length) return `${received} bytes came of ${length}`;
    return running && base64(running.digest()) !== wanted ? 'its bytes came damaged, by its checksum' : undefined;
  };
  const failed = (cause: unknown) => s3Error(cause, { verb: 'read', bucket, key });
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const chunk = await body.read();
        if (chunk !== undefined) {
          received += chunk.byteLength;
          running?.update(chunk);
          controller.enqueue(chunk);
          return;
        }
        const what = damage();
        if (what !== undefined) controller.error(failed(new ElfinError('STORE_FAILED', `${what}.`)));
        else controller.close();
      } catch (cause) {
        controller.error(failed(cause));
      }
    },
    cancel: () => body.cancel(),
  });
}

function checksumOf(headers: Headers): readonly [string, Running] | undefined {
  // Of an object uploaded in parts there may be a checksum of the parts' checksums, which says nothing of the whole.
  if (headers.get('x-amz-checksum-type') === 'COMPOSITE' || headers.has('content-range')) return undefined;
  for (const [name, create] of ALGORITHMS) {
    const wanted = headers.get(name);
    if (wanted !== null && !wanted.includes('-')) return [wanted, create()];
  }
  return undefined;
}

const base64 = (bytes: Uint8Array) => btoa(String.fromCharCode(...bytes));

const tables = new Map<number, Uint32Array>();

/** A reflected CRC of 32 bits by its polynomial. */
function crc32(polynomial: number): Running {
  let table = tables.get(polynomial);
  if (!table) {
    table = Uint32Array.from({ length: 256 }, (_, byte) => {
      let value = byte;
      for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ polynomial : value >>> 1;
      return value >>> 0;
    });
    tables.set(polynomial, table);
  }
  const known = table;
  let state = 0xffffffff;
  return {
    update(bytes) {
      for (let i = 0; i < bytes.length; i++) state = known[(state ^ bytes[i]!) & 0xff]! ^ (state >>> 8);
    },
    digest: () => bigEndian(~state >>> 0),
  };
}

/** CRC-64/NVME's reflected polynomial in two halves: numbers of 64 bits are many times slower. */
const NVME = [0x9a6c9329, 0xac4bc9b5] as const;
let nvme: Uint32Array | undefined;

function crc64(): Running {
  nvme ??= nvmeTable();
  const table = nvme;
  let high = 0xffffffff;
  let low = 0xffffffff;
  return {
    update(bytes) {
      for (let i = 0; i < bytes.length; i++) {
        const index = ((low ^ bytes[i]!) & 0xff) * 2;
        low = ((low >>> 8) | (high << 24)) ^ table[index + 1]!;
        high = (high >>> 8) ^ table[index]!;
      }
    },
    digest: () => Uint8Array.from([...bigEndian(~high >>> 0), ...bigEndian(~low >>> 0)]),
  };
}

function nvmeTable(): Uint32Array {
  const table = new Uint32Array(512);
  for (let byte = 0; byte < 256; byte++) {
    let high = 0;
    let low = byte;
    for (let bit = 0; bit < 8; bit++) {
      const odd = low & 1;
      low = (low >>> 1) | (high << 31);
      high >>>= 1;
      if (odd) {
        high ^= NVME[0];
        low ^= NVME[1];
      }
    }
    table[byte * 2] = high >>> 0;
    table[byte * 2 + 1] = low >>> 0;
  }
  return table;
}

const bigEndian = (value: number) => Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
