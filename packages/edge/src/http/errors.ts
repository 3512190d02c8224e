import { ElfinError, type ElfinErrorCode, ERRORS, type Fault, isElfinError } from '@elfin/core';

/**
 * The status of each code that a request can meet. What the caller got wrong is a 4xx, what went wrong behind the server
 * a 5xx; nothing that a caller can send is a 500.
 */
const STATUS: Partial<Record<ElfinErrorCode, number>> = {
  IMAGE_EMPTY: 422,
  IMAGE_TRUNCATED: 422,
  IMAGE_CORRUPT: 422,
  IMAGE_UNSUPPORTED: 415,
  IMAGE_ANIMATED: 415,
  IMAGE_TOO_MANY_BYTES: 413,
  IMAGE_TOO_MANY_PIXELS: 422,
  BODY_TIMEOUT: 408,
  OPTION_INVALID: 400,
  URL_INVALID: 400,
  URL_TOO_LONG: 414,
  ROUTE_UNKNOWN: 404,
  METHOD_UNSUPPORTED: 405,
  SIGNATURE_INVALID: 403,
  SIGNATURE_EXPIRED: 410,
  SOURCE_FORBIDDEN: 403,
  SOURCE_MISSING: 404,
  SOURCE_FAILED: 502,
  SOURCE_TIMEOUT: 504,
  LOOP_DETECTED: 508,
  RATE_LIMITED: 429,
  OVERLOADED: 429,
  DRAINING: 503,
  PENDING: 423,
  JOB_UNKNOWN: 404,
  JOB_CANCELLED: 409,
  MODEL_UNKNOWN: 422,
  RUNTIME_UNAVAILABLE: 503,
  RUNTIME_FAILED: 503,
  OUT_OF_MEMORY: 503,
  DISPOSED: 503,
  ABORTED: 503,
  DEADLINE_EXCEEDED: 504,
  NETWORK_FAILED: 502,
  REMOTE_PROTOCOL: 502,
  REMOTE_BUSY: 503,
  STORE_FAILED: 503,
  CREDENTIALS_EXPIRED: 503,
  INTERNAL: 500,
  // The server's own weights and configuration: the code's fault is somebody's input, but not this caller's.
  WEIGHTS_CORRUPT: 500,
  WEIGHTS_UNSAFE: 500,
  WEIGHTS_MISMATCH: 500,
  WEIGHTS_NOT_FINITE: 500,
  MODEL_DIGEST_MISMATCH: 500,
  MANIFEST_INVALID: 500,
};

const BY_FAULT: Record<Fault, number> = { input: 400, usage: 500, environment: 503, internal: 500 };

/** Codes of other faults than the caller's whose message was written for the caller. */
const TELLS: ReadonlySet<ElfinErrorCode> = new Set([
  'SOURCE_FAILED',
  'SOURCE_TIMEOUT',
  'OVERLOADED',
  'DRAINING',
  'PENDING',
]);

/** The HTTP status that a code is answered with. */
export function statusOf(code: ElfinErrorCode): number {
  return STATUS[code] ?? BY_FAULT[ERRORS[code].fault];
}

/** Every code that a request can meet, under its status. */
export function codesByStatus(): Map<number, ElfinErrorCode[]> {
  const codes = new Map<number, ElfinErrorCode[]>();
  for (const code of Object.keys(STATUS) as ElfinErrorCode[]) {
    const status = statusOf(code);
    codes.set(status, [...(codes.get(status) ?? []), code]);
  }
  return codes;
}

/** Any thrown value as one of ours; what is not becomes INTERNAL with the original as its cause. */
export function asElfinError(thrown: unknown): ElfinError {
  if (isElfinError(thrown)) return thrown;
  if (thrown instanceof DOMException && (thrown.name === 'AbortError' || thrown.name === 'TimeoutError')) {
    const code = thrown.name === 'TimeoutError' ? 'DEADLINE_EXCEEDED' : 'ABORTED';
    return new ElfinError(code, 'The work was stopped before it was done.', { cause: thrown });
  }
  return new ElfinError('INTERNAL', 'Something went wrong inside elfin.', { cause: thrown });
}

/** Seconds that a client should wait before it tries again, where that may help. */
export function retryAfter(error: ElfinError): number | undefined {
  const told = error.data.retryAfter;
  if (typeof told === 'number') return Math.max(1, Math.ceil(told));
  const status = statusOf(error.code);
  return error.retry && (status === 429 || status === 503 || status === 423) ? 2 : undefined;
}

/** The body of an answer that failed, RFC 9457. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: ElfinErrorCode;
}

/**
 * Describes an error to the caller: never a stack, never a cause, no worker's address, and of the server's own troubles
 * only the code.
 */
export function toProblem(error: ElfinError): Problem {
  const status = statusOf(error.code);
  const { endpoint } = error.data;
  const inner = typeof endpoint === 'string' && error.message.includes(endpoint);
  const told = !inner && (status < 500 || TELLS.has(error.code));
  return {
    type: `urn:elfin:error:${error.code}`,
    title: error.code.toLowerCase().replaceAll('_', ' '),
    status,
    detail: told ? error.message : 'The server could not answer this; the code says which kind of trouble it has.',
    code: error.code,
  };
}

/** An error as a response: `application/problem+json`, `Elfin-Error`, `Retry-After` and how long caches may keep it. */
export function errorResponse(thrown: unknown): Response {
  const error = asElfinError(thrown);
  const problem = toProblem(error);
  const headers = new Headers({
    'content-type': 'application/problem+json',
    'elfin-error': error.code,
    // A 4xx stays wrong for a while, but for 429 and a job that may be there at once; all else may be over with the next request.
    'cache-control':
      problem.status < 500 && !error.retry && error.code !== 'JOB_UNKNOWN' ? 'public, max-age=60' : 'no-store',
  });
  const wait = retryAfter(error);
  if (wait !== undefined) headers.set('retry-after', String(wait));
  if (error.code === 'METHOD_UNSUPPORTED') headers.set('allow', String(error.data.allow ?? 'GET, HEAD'));
  return new Response(JSON.stringify(problem), { status: problem.status, headers });
}
