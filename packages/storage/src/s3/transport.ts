import { aborted, ElfinError } from '@elfin/core';

/** Milliseconds. Together they bound every request: nothing waits for an answer that does not come. */
export interface S3Timeouts {
  /** Until the answer's head is there, connecting and sending included; a body adds a second for each 64 KiB. Default 30,000. */
  readonly firstByteMs: number;
  /** Between two chunks of an answer's body. Default 20,000. */
  readonly idleMs: number;
}

export const S3_TIMEOUTS: S3Timeouts = { firstByteMs: 30_000, idleMs: 20_000 };

/** The slowest transfer that counts as one: what drips slower than this on the whole is given up. */
const MIN_BYTES_PER_MS = 65.536;

export interface HttpRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: Headers;
  readonly body?: Uint8Array | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: ByteReader;
}

/** A body, chunk by chunk. */
export interface ByteReader {
  /** Undefined at the end. */
  read(): Promise<Uint8Array | undefined>;
  cancel(): Promise<void>;
}

/** What carries a request: `fetch` everywhere, undici's client in Node. Redirects are answers, not followed. */
export type Send = (request: HttpRequest & { readonly signal: AbortSignal }) => Promise<HttpAnswer>;

/** By the runtime's own `fetch`, or one with its signature. */
export function sendByFetch(request: (url: URL, init: RequestInit) => Promise<Response> = fetch): Send {
  return async ({ url, method, headers, body, signal }) => {
    const response = await request(url, {
      method,
      headers,
      redirect: 'manual',
      signal,
      ...(body && { body: body as Uint8Array<ArrayBuffer> }),
      // By its standard fetch adds Cache-Control: no-cache to what has a condition, and S3 would keep that with the object.
      // Workers add nothing, and know no other mode.
      ...(!isWorkerd && { cache: 'force-cache' as const }),
    });
    const reader = response.body?.getReader();
    const read = async () => (await reader?.read())?.value;
    const cancel = async () => reader?.cancel();
    return { status: response.status, headers: response.headers, body: { read, cancel } };
  };
}

const isWorkerd = globalThis.navigator?.userAgent === 'Cloudflare-Workers';

/**
 * Sends one request and answers with its response.
 * Errors: ABORTED where the caller gave up, STORE_FAILED where no connection or no answer came, also amid the body.
 */
export async function exchange(request: HttpRequest, send: Send, timeouts: S3Timeouts): Promise<HttpAnswer> {
  const { body, signal } = request;
  if (signal?.aborted) throw aborted(signal);
  const control = new AbortController();
  const stop = () => control.abort(signal?.reason);
  signal?.addEventListener('abort', stop, { once: true });
  const release = () => signal?.removeEventListener('abort', stop);
  const limit = timeouts.firstByteMs + (body?.byteLength ?? 0) / MIN_BYTES_PER_MS;
  try {
    const answer = await within(limit, 'no answer', control, () => send({ ...request, signal: control.signal }));
    return { ...answer, body: watchBody(answer.body, { control, signal, timeouts, release }) };
  } catch (cause) {
    release();
    throw failureOf(cause, control, signal);
  }
}

interface Watch {
  readonly control: AbortController;
  readonly signal: AbortSignal | undefined;
  readonly timeouts: S3Timeouts;
  readonly release: () => void;
}

/** A body that fails by name where it stands still, drips, or breaks off. */
function watchBody(body: ByteReader, { control, signal, timeouts, release }: Watch): ByteReader {
  let received = 0;
  let waited = 0;
  return {
    async read() {
      // What comes slower than the slowest allowed on the whole is a drip, however regular. Only waiting counts: the reader
      // may take its time.
      const left = 2 * timeouts.idleMs + received / MIN_BYTES_PER_MS - waited;
      const asked = performance.now();
      try {
        const wait = Math.max(0, Math.min(timeouts.idleMs, left));
        const chunk = await within(wait, 'nothing more', control, () => body.read());
        received += chunk?.byteLength ?? 0;
        if (chunk === undefined) release();
        return chunk;
      } catch (cause) {
        release();
        throw failureOf(cause, control, signal);
      } finally {
        waited += performance.now() - asked;
      }
    },
    async cancel() {
      release();
      await body.cancel().catch(() => undefined);
    },
  };
}

/** Aborts `control` where `work` takes longer. */
async function within<T>(ms: number, what: string, control: AbortController, work: () => Promise<T>): Promise<T> {
  const timer = setTimeout(() => {
    control.abort(new ElfinError('STORE_FAILED', `The store fell silent: ${what} within ${Math.round(ms)} ms.`));
  }, ms);
  try {
    return await work();
  } finally {
    clearTimeout(timer);
  }
}

function failureOf(cause: unknown, control: AbortController, signal: AbortSignal | undefined): ElfinError {
  if (signal?.aborted) return aborted(signal);
  if (control.signal.aborted) return control.signal.reason as ElfinError;
  return new ElfinError('STORE_FAILED', `The connection to the store failed: ${wordsOf(cause)}.`, { cause });
}

/** `fetch failed` says nothing; what it was caused by does. */
function wordsOf(cause: unknown): string {
  const { message, cause: inner } = cause as { message?: string; cause?: { message?: string; code?: string } };
  return inner?.message || inner?.code || message || String(cause);
}
