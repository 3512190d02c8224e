import { joinBytes } from '../../base/bytes.ts';
import { readDataUrl } from '../../base/data-url.ts';
import { ElfinError, isElfinError, throwIfAborted } from '../../base/errors.ts';
import { sha256 } from '../../base/sha256.ts';
import type { LoadOptions } from '../../model/models.ts';

/** Where the weights lie between visits. */
export const CACHE = 'elfin-models';

export interface FetchOptions extends LoadOptions {
  /** SHA-256 of the file, lower-case hex. With it the file is kept in Cache Storage, and what is kept is checked. */
  readonly digest?: string;
  /** Told why a file could not be kept, for example because storage is full; it is used all the same. */
  readonly onUncached?: (reason: string) => void;
}

/**
 * A file by HTTP, with progress. Errors: NETWORK_FAILED (the message tells how far it got), MODEL_UNKNOWN for 404,
 * MODEL_DIGEST_MISMATCH, ABORTED.
 */
export async function fetchFile(url: string | URL, options: FetchOptions = {}): Promise<Uint8Array> {
  const { digest, signal } = options;
  throwIfAborted(signal);
  const inlined = readDataUrl(url);
  if (inlined) return inlined;
  if (digest === undefined) return download(url, options);
  const cache = await openCache(options);
  const kept = await cache?.match(url).catch(() => undefined);
  if (kept) {
    const bytes = new Uint8Array(await kept.arrayBuffer());
    if ((await sha256(bytes)) === digest) {
      options.onProgress?.({ loaded: bytes.length, total: bytes.length });
      return bytes;
    }
    // Another release under the same address, or damage.
    await cache?.delete(url);
  }
  const bytes = await download(url, options);
  const found = await sha256(bytes);
  if (found !== digest) {
    throw new ElfinError(
      'MODEL_DIGEST_MISMATCH',
      `The file at ${url} is not the one that is due (SHA-256 ${found.slice(0, 12)}… instead of ${digest.slice(0, 12)}…): deploy manifest and weights together.`,
      { data: { url: String(url), expected: digest, found } },
    );
  }
  const headers = { 'content-type': 'application/octet-stream', 'content-length': String(bytes.length) };
  await cache?.put(url, new Response(bytes as Uint8Array<ArrayBuffer>, { headers })).catch((error: unknown) => {
    options.onUncached?.(wordsOf(error));
  });
  return bytes;
}

async function openCache({ onUncached }: FetchOptions): Promise<Cache | undefined> {
  if (typeof caches === 'undefined') {
    onUncached?.('this page has no Cache Storage (it needs HTTPS)');
    return undefined;
  }
  try {
    return await caches.open(CACHE);
  } catch (error) {
    onUncached?.(wordsOf(error));
    return undefined;
  }
}

function wordsOf(error: unknown): string {
  const { name, message } = error as Error;
  return name === 'QuotaExceededError' ? "the browser's storage for this site is full" : message;
}

async function download(url: string | URL, { signal, onProgress }: FetchOptions): Promise<Uint8Array> {
  let loaded = 0;
  let total: number | undefined;
  try {
    const response = await fetch(url, signal ? { signal } : {});
    if (!response.ok || !response.body) {
      const code = response.status === 404 ? 'MODEL_UNKNOWN' : 'NETWORK_FAILED';
      throw new ElfinError(code, `Cannot fetch ${url}: HTTP ${response.status}. Check that the file is served there.`, {
        data: { url: String(url), status: response.status },
      });
    }
    const length = Number(response.headers.get('content-length'));
    // Of a compressed body the header tells the compressed length; another origin's may hide that it is compressed.
    if (length > 0 && !response.headers.get('content-encoding')) total = length;
    const chunks: Uint8Array[] = [];
    for await (const chunk of chunksOf(response.body)) {
      chunks.push(chunk);
      loaded += chunk.length;
      if (total !== undefined && loaded > total) total = undefined;
      onProgress?.({ loaded, ...(total !== undefined && { total }) });
    }
    if (total !== undefined && loaded !== total) throw new TypeError('the connection ended early');
    return joinBytes(chunks, loaded);
  } catch (error) {
    throwIfAborted(signal);
    if (isElfinError(error)) throw error;
    const far = loaded === 0 ? '' : ` after ${loaded}${total === undefined ? '' : ` of ${total}`} bytes`;
    throw new ElfinError(
      'NETWORK_FAILED',
      `The download of ${url} broke off${far}: check the connection and try again.`,
      {
        cause: error,
        data: { url: String(url), loaded, total },
      },
    );
  }
}

// Streams are async iterables in Firefox and Chromium only.
async function* chunksOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}
