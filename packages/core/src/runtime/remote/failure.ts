import { aborted, ElfinError, type ElfinErrorCode, ERRORS } from '../../base/errors.ts';
import { readBounded } from '../../protocol/read-bounded.ts';
import { parseRetryAfter } from '../../protocol/retry-after.ts';

/** What a status that is not 2xx means for the caller. The server's own one-line reason is passed on. */
export async function failureOfResponse(response: Response, endpoint: string): Promise<ElfinError> {
  const reason = await reasonOf(response);
  const retryAfter = parseRetryAfter(response.headers.get('Retry-After'));
  const data = { endpoint, status: response.status, ...(retryAfter !== undefined && { retryAfter }) };
  const told = reason ? `: ${reason}` : '.';
  // The image's own fault is no fault of the worker's: its breaker stays shut, and nobody else is asked in vain.
  const code = response.headers.get('Elfin-Error') as ElfinErrorCode | null;
  if (code?.startsWith('IMAGE_') && Object.hasOwn(ERRORS, code)) {
    return new ElfinError(code, reason || `${endpoint} refused the image.`, { data });
  }
  switch (response.status) {
    case 401:
    case 403:
      return new ElfinError('CONFIG_INVALID', `${endpoint} refused the token (${response.status})${told}`, { data });
    case 404:
      return new ElfinError('MODEL_UNKNOWN', `${endpoint} does not serve these weights${told}`, { data });
    case 413:
      return new ElfinError('OUT_OF_MEMORY', `${endpoint} takes only smaller tiles${told}`, { data });
    case 429:
    case 503:
      return new ElfinError('REMOTE_BUSY', `${endpoint} is busy (${response.status})${told}`, { data });
    case 502:
    case 504:
      return new ElfinError('NETWORK_FAILED', `${endpoint} could not be reached (${response.status})${told}`, { data });
    default:
      return new ElfinError('REMOTE_PROTOCOL', `${endpoint} answered ${response.status}${told}`, { data });
  }
}

/** Milliseconds by which timers may be ahead of the wall clock. */
const EARLY = 2;

/** What a thrown fetch or a broken body means: the caller's abort, the deadline, or the network. */
export function failureOfTransport(
  cause: unknown,
  endpoint: string,
  { signal, deadline }: { readonly signal?: AbortSignal | undefined; readonly deadline?: number | undefined },
): ElfinError {
  const data = { endpoint };
  if (signal?.aborted) return aborted(signal);
  if (deadline !== undefined && Date.now() + EARLY >= deadline)
    return new ElfinError('DEADLINE_EXCEEDED', `${endpoint} did not answer before the deadline.`, { cause, data });
  const hung = cause instanceof DOMException && cause.name === 'TimeoutError';
  const how = hung ? 'did not answer in time' : 'cannot be reached or hung up';
  return new ElfinError('NETWORK_FAILED', `${endpoint} ${how}; check that the worker runs.`, {
    cause,
    data: { ...data, ...(hung && { hung }) },
  });
}

/** Milliseconds that the server asked to wait, as {@link failureOfResponse} noted them. */
export function adviceOf(error: ElfinError): number | undefined {
  const seconds = error.data.retryAfter;
  return typeof seconds === 'number' ? seconds * 1000 : undefined;
}

async function reasonOf(response: Response): Promise<string> {
  const bytes = await readBounded(response.body, 16_384).catch(() => undefined);
  if (!bytes) return '';
  try {
    const parsed: unknown = JSON.parse(new TextDecoder().decode(bytes));
    const { error, detail, title } = parsed as Record<string, unknown>;
    const text = [error, detail, title].find((entry) => typeof entry === 'string') as string | undefined;
    return (text ?? '').replace(/\s+/g, ' ').slice(0, 300);
  } catch {
    return '';
  }
}
