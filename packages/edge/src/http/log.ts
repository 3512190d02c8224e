/** One answered transform request, for the access log. */
export interface AccessEntry {
  /** Unguessable, told in `Elfin-Request-Id`: the caller's `X-Request-Id` where it sent a plain one. */
  readonly id: string;
  /** W3C trace id. */
  readonly trace: string;
  readonly method: string;
  /** Without the query, which holds the signature. */
  readonly path: string;
  readonly status: number;
  /** What was to be restored; absent where the URL could not be read. */
  readonly task?: string | undefined;
  readonly source?: string | undefined;
  readonly cache: string;
  /** `Restore-Status`. */
  readonly restore?: string | undefined;
  readonly bytes?: number | undefined;
  /** Milliseconds: altogether, and by part (`queue`, `fetch`, `decode`, `infer`, `encode`, `offload`). */
  readonly ms: number;
  readonly spans: Readonly<Record<string, number>>;
  /** Code and inner message of what went wrong; the caller may have been told less. */
  readonly error?: { readonly code: string; readonly message: string; readonly cause?: string | undefined } | undefined;
}

/** The caller's id where it is one that a log can take, else one of our own. */
export function requestId(given: string | null): string {
  if (given !== null && /^[A-Za-z0-9_.:-]{1,64}$/.test(given)) return given;
  return crypto.randomUUID();
}
