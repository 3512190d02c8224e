/**
 * Every failure that elfin raises is an {@link ElfinError} with a code out of this closed table.
 * A code is stable: programs may match on it. `fault` says who can mend it, `retry` whether the same call may
 * succeed later without anybody changing anything; HTTP statuses and exit codes derive from these two.
 */
export const ERRORS = {
  // What the caller handed in.
  IMAGE_EMPTY: { fault: 'input', retry: false },
  IMAGE_TRUNCATED: { fault: 'input', retry: false },
  IMAGE_CORRUPT: { fault: 'input', retry: false },
  IMAGE_UNSUPPORTED: { fault: 'input', retry: false },
  IMAGE_ANIMATED: { fault: 'input', retry: false },
  IMAGE_TOO_MANY_BYTES: { fault: 'input', retry: false },
  IMAGE_TOO_MANY_PIXELS: { fault: 'input', retry: false },
  BODY_TIMEOUT: { fault: 'input', retry: true },
  OPTION_INVALID: { fault: 'input', retry: false },
  INPUT_UNREADABLE: { fault: 'input', retry: false },
  OUTPUT_EXISTS: { fault: 'input', retry: false },
  OUTPUT_UNWRITABLE: { fault: 'environment', retry: true },
  // Weights and models.
  WEIGHTS_CORRUPT: { fault: 'input', retry: false },
  WEIGHTS_UNSUPPORTED: { fault: 'input', retry: false },
  WEIGHTS_UNSAFE: { fault: 'input', retry: false },
  WEIGHTS_MISMATCH: { fault: 'input', retry: false },
  WEIGHTS_NOT_FINITE: { fault: 'input', retry: false },
  MODEL_UNKNOWN: { fault: 'input', retry: false },
  MODEL_DIGEST_MISMATCH: { fault: 'input', retry: false },
  MANIFEST_INVALID: { fault: 'input', retry: false },
  // Definition of a graph.
  GRAPH_INVALID: { fault: 'internal', retry: false },
  // A mistake of elfin's own.
  INTERNAL: { fault: 'internal', retry: false },
  // Transform URLs: what a request may get wrong, and what becomes of it.
  URL_INVALID: { fault: 'input', retry: false },
  URL_TOO_LONG: { fault: 'input', retry: false },
  ROUTE_UNKNOWN: { fault: 'input', retry: false },
  METHOD_UNSUPPORTED: { fault: 'input', retry: false },
  SIGNATURE_INVALID: { fault: 'input', retry: false },
  SIGNATURE_EXPIRED: { fault: 'input', retry: false },
  SOURCE_FORBIDDEN: { fault: 'input', retry: false },
  SOURCE_MISSING: { fault: 'input', retry: false },
  SOURCE_FAILED: { fault: 'environment', retry: true },
  SOURCE_TIMEOUT: { fault: 'environment', retry: true },
  LOOP_DETECTED: { fault: 'input', retry: false },
  RATE_LIMITED: { fault: 'input', retry: true },
  OVERLOADED: { fault: 'environment', retry: true },
  DRAINING: { fault: 'environment', retry: true },
  PENDING: { fault: 'environment', retry: true },
  JOB_UNKNOWN: { fault: 'input', retry: false },
  JOB_CANCELLED: { fault: 'input', retry: true },
  // Where the work runs.
  RUNTIME_UNAVAILABLE: { fault: 'environment', retry: false },
  RUNTIME_FAILED: { fault: 'environment', retry: true },
  OUT_OF_MEMORY: { fault: 'environment', retry: true },
  DISPOSED: { fault: 'usage', retry: false },
  ABORTED: { fault: 'usage', retry: false },
  DEADLINE_EXCEEDED: { fault: 'environment', retry: true },
  // Storage and remote workers.
  NETWORK_FAILED: { fault: 'environment', retry: true },
  REMOTE_PROTOCOL: { fault: 'environment', retry: true },
  REMOTE_BUSY: { fault: 'environment', retry: true },
  STORE_FAILED: { fault: 'environment', retry: true },
  STORE_UNSUITABLE: { fault: 'environment', retry: false },
  CONFIG_INVALID: { fault: 'usage', retry: false },
  CREDENTIALS_EXPIRED: { fault: 'environment', retry: true },
  // Events that tell of an upload, and the objects that they name.
  EVENT_INVALID: { fault: 'input', retry: false },
  EVENT_UNKNOWN: { fault: 'input', retry: false },
  KEY_UNSAFE: { fault: 'input', retry: false },
  OBJECT_GONE: { fault: 'input', retry: false },
  OBJECT_ARCHIVED: { fault: 'environment', retry: false },
  CLAIM_HELD: { fault: 'environment', retry: true },
} as const satisfies Record<string, { fault: Fault; retry: boolean }>;

/** Who can mend a failure: the caller's data, the caller's code or configuration, the machine around, or elfin itself. */
export type Fault = 'input' | 'usage' | 'environment' | 'internal';

/** A code out of the closed table {@link ERRORS}. */
export type ElfinErrorCode = keyof typeof ERRORS;

/** Plain, serialisable facts about a failure: names, sizes, limits; never secrets, never pixels. */
export type ErrorData = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;

/** What an error carries besides its code and message. */
export interface ElfinErrorOptions {
  readonly cause?: unknown;
  readonly data?: ErrorData;
}

const brand = Symbol.for('elfin.error');

/**
 * The one error class. `message` is one line for a person: what is wrong, where, and what to do.
 */
export class ElfinError extends Error {
  readonly code: ElfinErrorCode;
  readonly data: ErrorData;
  override readonly name = 'ElfinError';
  readonly [brand] = true;

  constructor(code: ElfinErrorCode, message: string, options: ElfinErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.data = options.data ?? {};
  }

  /** Who can mend it. */
  get fault(): Fault {
    return ERRORS[this.code].fault;
  }

  /** Whether the same call may succeed later, unchanged. */
  get retry(): boolean {
    return ERRORS[this.code].retry;
  }
}

/** True for an {@link ElfinError} of any copy of this package: works across realms and duplicate installs. */
export function isElfinError(value: unknown): value is ElfinError {
  return typeof value === 'object' && value !== null && (value as Record<symbol, unknown>)[brand] === true;
}

/** `ABORTED`, the signal's reason kept as the cause. */
export function aborted(signal: AbortSignal | undefined): ElfinError {
  return new ElfinError('ABORTED', 'The work was aborted by its caller.', { cause: signal?.reason });
}

/** Throws what {@link aborted} gives when `signal` has fired. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw aborted(signal);
}
