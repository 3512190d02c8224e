/** W3C trace context of one request. */
export interface Trace {
  /** 32 hex digits, the caller's where it sent one. */
  readonly traceId: string;
  /** To be sent on: the same trace, a span of our own. */
  readonly traceparent: string;
}

const hex = (bytes: number) =>
  Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (byte) => byte.toString(16).padStart(2, '0')).join('');

/** Continues the caller's trace, or begins one where its header is absent or malformed (W3C Trace Context §3.2). */
export function continueTrace(header: string | null | undefined): Trace {
  const match = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(?:-.*)?$/.exec(
    header ?? '',
  );
  const traceId = match?.[1] ?? hex(16);
  return { traceId, traceparent: `00-${traceId}-${hex(8)}-${match?.[2] ?? '00'}` };
}
