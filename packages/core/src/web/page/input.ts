import { loadPart } from '../../base/lazy-import.ts';
import { checkPixels } from '../../image/pixels.ts';
import type { RestoreOptions } from '../../restore/options.ts';
import type { RestoreInput } from '../../restorer.ts';
import type { WireInput } from '../messages.ts';

/** What a page shows or draws on; of a video its present frame. */
export type WebPicture =
  | HTMLImageElement
  | HTMLVideoElement
  | HTMLCanvasElement
  | OffscreenCanvas
  | ImageBitmap
  | VideoFrame;

/** What a page has: files, pixels, pictures that it shows already, answers of `fetch`, and addresses (relative to the page). */
export type WebInput = RestoreInput | WebPicture | Response | string | URL;

export type Reading = Pick<RestoreOptions, 'limits' | 'signal'>;

/**
 * An input as it is sent to the worker, and what is moved rather than copied: only what was made here, so that the
 * caller's arrays stay his. Files cross as handles; nobody reads them on the page. Errors: OPTION_INVALID, INPUT_UNREADABLE,
 * NETWORK_FAILED, IMAGE_CORRUPT, IMAGE_TOO_MANY_BYTES.
 */
export async function toWireInput(
  input: WebInput,
  options: Reading,
): Promise<{ readonly input: WireInput; readonly transfer: Transferable[] }> {
  if (input instanceof Blob || input instanceof Uint8Array) return { input, transfer: [] };
  if (input instanceof ArrayBuffer) return { input: new Uint8Array(input), transfer: [] };
  if (isReadOnce(input)) {
    const { collect } = await loadPart(import('./collect.ts'));
    return { input: await collect(input, options), transfer: [] };
  }
  if (isPicture(input)) {
    const { bitmapOf } = await loadPart(import('./picture.ts'));
    const bitmap = await bitmapOf(input);
    return { input: bitmap, transfer: [bitmap] };
  }
  return { input: checkPixels(input), transfer: [] };
}

/** Needs reading or fetching before it can be sent. */
export type ReadOnce = ReadableStream<Uint8Array> | Response | string | URL;

/** Inputs that can be read but once, or that would be fetched anew each time. */
export function isReadOnce(input: unknown): input is ReadOnce {
  return (
    input instanceof ReadableStream || input instanceof Response || input instanceof URL || typeof input === 'string'
  );
}

/** By name, so that those of other frames count too. */
function isPicture(input: object): input is WebPicture {
  const { [Symbol.toStringTag]: name } = input as { readonly [Symbol.toStringTag]?: string };
  return /^(HTML(Image|Video|Canvas)Element|OffscreenCanvas|ImageBitmap|VideoFrame)$/.test(name ?? '');
}
