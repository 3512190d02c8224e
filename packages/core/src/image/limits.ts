import { ElfinError } from '../base/errors.ts';

/** Throws IMAGE_TOO_MANY_BYTES. For those who stream: may be asked again with every chunk, `length` being what has come so far. */
export function checkBytes(length: number, limit: number): void {
  if (length <= limit) return;
  throw new ElfinError(
    'IMAGE_TOO_MANY_BYTES',
    `The image has ${length} bytes, more than the ${limit} allowed; shrink it or raise limits.bytes.`,
    { data: { bytes: length, limit } },
  );
}
