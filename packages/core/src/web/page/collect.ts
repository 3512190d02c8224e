import { readDataUrl } from '../../base/data-url.ts';
import { ElfinError } from '../../base/errors.ts';
import { DEFAULT_LIMITS } from '../../image/codec.ts';
import { readBytes } from '../../restore/input.ts';
import type { Reading, ReadOnce } from './input.ts';

/** The bytes of an input that can be read but once, as a handle that may be sent twice. Errors: those of `toWireInput`. */
export async function collect(input: ReadOnce, { limits, signal }: Reading): Promise<Blob> {
  const most = limits?.bytes ?? DEFAULT_LIMITS.bytes;
  if (input instanceof ReadableStream) return toBlob(await readBytes(input, most, signal));
  const bytes = input instanceof Response ? undefined : readDataUrl(input);
  if (bytes) return toBlob(bytes);
  const response = input instanceof Response ? input : await ask(input, signal);
  if (!response.ok) {
    const from = response.url ? ` for ${response.url}` : '';
    throw new ElfinError('NETWORK_FAILED', `The server answered ${response.status}${from}; check the address.`, {
      data: { status: response.status, url: response.url },
    });
  }
  if (response.bodyUsed) {
    throw new ElfinError(
      'OPTION_INVALID',
      'The response has been read already; hand in its clone(), or fetch it again.',
    );
  }
  return toBlob(response.body ? await readBytes(response.body, most, signal) : new Uint8Array());
}

const toBlob = (bytes: Uint8Array) => new Blob([bytes as Uint8Array<ArrayBuffer>]);

async function ask(address: string | URL, signal: AbortSignal | undefined): Promise<Response> {
  let url: URL;
  try {
    url = new URL(address, document.baseURI);
  } catch (cause) {
    throw new ElfinError('OPTION_INVALID', `“${String(address).slice(0, 100)}” is no address of a picture.`, { cause });
  }
  try {
    return await fetch(url, signal ? { signal } : {});
  } catch (cause) {
    if (signal?.aborted) throw new ElfinError('ABORTED', 'The work was aborted by its caller.', { cause });
    // A browser does not say which of the two it was.
    const other = url.origin === location.origin ? '' : ', or that site does not let this page read it (CORS)';
    throw new ElfinError('NETWORK_FAILED', `${url} cannot be fetched: the network failed${other}.`, {
      cause,
      data: { url: url.href },
    });
  }
}
