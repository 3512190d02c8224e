import { ElfinError, type ElfinErrorCode, ERRORS, throwIfAborted } from '../../base/errors.ts';
import { parseRestoreStatus, RESTORE_STATUS } from '../../protocol/status.ts';

export interface AwaitOptions {
  readonly signal?: AbortSignal;
  /** Milliseconds for all tries together. Default two minutes. */
  readonly timeout?: number;
  /** Seen once: the source in the result's size, to be shown meanwhile. */
  readonly onInterim?: (response: Response) => void;
  readonly fetch?: (url: string, init: RequestInit) => Promise<Response>;
}

/** Milliseconds to wait: what the server says, within half a second and half a minute. */
function waitOf(response: Response): number {
  const seconds = Number(response.headers.get('retry-after') ?? 2);
  return Math.min(30, Math.max(0.5, Number.isFinite(seconds) ? seconds : 2)) * 1000;
}

/** Whether the body is not the result yet. The second header also tells where CORS hides the first. */
function isInterim(response: Response): boolean {
  return (
    parseRestoreStatus(response.headers.get(RESTORE_STATUS))?.state === 'pending' ||
    response.headers.get('is-intermediate-response') === 'true'
  );
}

function failure(response: Response): ElfinError {
  const code = response.headers.get('elfin-error');
  const known = code !== null && Object.hasOwn(ERRORS, code) ? (code as ElfinErrorCode) : 'NETWORK_FAILED';
  return new ElfinError(known, `The image server answered ${response.status}${code ? ` (${code})` : ''}.`, {
    data: { status: response.status },
  });
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
  });
}

/**
 * Asks for a transform URL until the answer is final: past interim images (`pending`), 202 with a job, 423, and a server
 * that is busy for a moment (429, 503). What could not be restored is an answer too; its `Restore-Status` says `degraded`.
 * Errors: the server's code; ABORTED; DEADLINE_EXCEEDED; NETWORK_FAILED.
 */
export async function awaitRestored(url: string | URL, options: AwaitOptions = {}): Promise<Response> {
  const { timeout = 120_000, onInterim, fetch: send = (...call) => fetch(...call) } = options;
  const late = AbortSignal.timeout(timeout);
  const signal = options.signal ? AbortSignal.any([options.signal, late]) : late;
  let next = String(url);
  let job: string | undefined;
  let shown = false;
  for (;;) {
    throwIfAborted(options.signal);
    if (late.aborted) throw new ElfinError('DEADLINE_EXCEEDED', `The image was not restored within ${timeout} ms.`);
    let response: Response;
    try {
      response = await send(next, { signal, ...(next === String(url) ? { cache: 'no-cache' } : {}) });
    } catch (cause) {
      if (signal.aborted) continue;
      throw new ElfinError('NETWORK_FAILED', 'The image server cannot be reached.', { cause });
    }
    const isJson = response.headers.get('content-type')?.startsWith('application/json') === true;
    if (response.status === 202) {
      next = new URL(response.headers.get('location') ?? next, response.url || next).href;
      job = next;
    } else if (next === job && isJson && response.ok && !response.redirected) {
      // Done is a 303 that fetch has followed already: JSON from the job itself means that it is not.
      const { state, error } = (await response.clone().json()) as { state: string; error?: { code: string } };
      if (state === 'failed' || state === 'cancelled') {
        const code = error && Object.hasOwn(ERRORS, error.code) ? (error.code as ElfinErrorCode) : 'JOB_CANCELLED';
        throw new ElfinError(code, `The work ${state}.`);
      }
      // A job that was not told where to lead to: the result is where it was asked for.
      if (state === 'done') next = String(url);
    } else if (response.ok && !isInterim(response)) return response;
    else if (response.ok) {
      if (!shown) onInterim?.(response.clone());
      shown = true;
    } else if (![423, 429, 503].includes(response.status)) throw failure(response);
    await response.body?.cancel();
    await pause(waitOf(response), signal);
  }
}

/**
 * Makes images swap themselves: each `<img data-elfin>` below `root` shows whatever its `src` answers first, and the
 * restored image once it is there. An image that fails keeps what it shows. Returns a function that stops all waiting.
 * From another origin the edge must allow this page's by CORS.
 */
export function swapRestored(root: ParentNode, options: Omit<AwaitOptions, 'signal' | 'onInterim'> = {}): () => void {
  const stop = new AbortController();
  for (const image of root.querySelectorAll<HTMLImageElement>('img[data-elfin]')) {
    const url = image.currentSrc || image.src;
    if (url) void swap(image, url, { ...options, signal: stop.signal }).catch(() => undefined);
  }
  return () => stop.abort();
}

async function swap(image: HTMLImageElement, url: string, options: AwaitOptions): Promise<void> {
  // Always: a page cannot ask whether what its image shows is the interim one. What is final comes out of the browser's cache.
  const response = await awaitRestored(url, options);
  const object = URL.createObjectURL(await response.blob());
  try {
    const ready = new Image();
    ready.src = object;
    // Decoded before it is shown, so that nothing flickers.
    await ready.decode();
    if (options.signal?.aborted) return;
    // Whatever the browser would rather choose from names the interim answer.
    for (const source of image.closest('picture')?.querySelectorAll('source') ?? []) source.remove();
    image.removeAttribute('srcset');
    image.src = object;
    await image.decode();
  } finally {
    URL.revokeObjectURL(object);
  }
}
