import { ElfinError, type ElfinErrorCode, type ErrorData, isElfinError } from '../base/errors.ts';

/** An error as it crosses between page and worker, where classes are lost. */
export interface WireError {
  readonly code: ElfinErrorCode;
  readonly message: string;
  readonly data: ErrorData;
  readonly cause?: string;
}

export function toWire(error: unknown): WireError {
  if (isElfinError(error)) {
    const { code, message, data, cause } = error;
    return { code, message, data, ...(cause !== undefined && { cause: String(cause) }) };
  }
  const text = error instanceof Error ? error.message : String(error);
  return { code: 'INTERNAL', message: `A mistake of elfin's own: ${text}`, data: {}, cause: String(error) };
}

export function fromWire({ code, message, data, cause }: WireError): ElfinError {
  return new ElfinError(code, message, { data, cause });
}

/** The buffers behind arrays that the sender does not need any more, each once; shared ones cannot be moved. */
export function movable(...arrays: readonly (ArrayBufferView | undefined)[]): ArrayBuffer[] {
  const buffers = arrays.map((array) => array?.buffer).filter((buffer) => buffer instanceof ArrayBuffer);
  return [...new Set(buffers)];
}
