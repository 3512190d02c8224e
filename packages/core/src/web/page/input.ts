import { ElfinError, isElfinError } from '../../base/errors.ts';
import { DEFAULT_LIMITS } from '../../image/codec.ts';
import { checkPixels } from '../../image/pixels.ts';
import { readBytes } from '../../restore/input.ts';
import type { RestoreOptions } from '../../restore/options.ts';
import type { RestoreInput } from '../../restorer.ts';
import { guarded } from '../bitmap.ts';
import type { WireInput } from '../messages.ts';

/** What a page has: files, pixels, and pictures that it shows already. */
export type WebInput = RestoreInput | HTMLImageElement | HTMLCanvasElement | ImageBitmap;

/**
 * An input as it is sent to the worker, and what is moved rather than copied: only what was made here, so that the
 * caller's arrays stay his. Files cross as handles; nobody reads them on the page. Errors: OPTION_INVALID, INPUT_UNREADABLE,
 * IMAGE_CORRUPT, IMAGE_TOO_MANY_BYTES.
 */
export async function toWireInput(
  input: WebInput,
  { limits, signal }: Pick<RestoreOptions, 'limits' | 'signal'>,
): Promise<{ readonly input: WireInput; readonly transfer: Transferable[] }> {
  if (input instanceof Blob || input instanceof Uint8Array) return { input, transfer: [] };
  if (input instanceof ArrayBuffer) return { input: new Uint8Array(input), transfer: [] };
  if (input instanceof ReadableStream) {
    const bytes = await readBytes(input, limits?.bytes ?? DEFAULT_LIMITS.bytes, signal);
    // A handle, which may be sent twice.
    return { input: new Blob([bytes as Uint8Array<ArrayBuffer>]), transfer: [] };
  }
  if (isPicture(input)) {
    const bitmap = await bitmapOf(input);
    return { input: bitmap, transfer: [bitmap] };
  }
  return { input: checkPixels(input), transfer: [] };
}

function isPicture(input: object): input is HTMLImageElement | HTMLCanvasElement | ImageBitmap {
  return input instanceof HTMLImageElement || input instanceof HTMLCanvasElement || input instanceof ImageBitmap;
}

async function bitmapOf(picture: HTMLImageElement | HTMLCanvasElement | ImageBitmap): Promise<ImageBitmap> {
  try {
    if (picture instanceof HTMLImageElement) {
      await picture.decode();
      if (!isReadable(picture)) throw guarded(undefined);
    }
    return await createImageBitmap(picture);
  } catch (cause) {
    if (isElfinError(cause)) throw cause;
    const { name, message } = cause as Error;
    if (name === 'SecurityError') throw guarded(cause);
    throw new ElfinError('INPUT_UNREADABLE', `The picture on the page is not loaded or is broken: ${message}`, {
      cause,
    });
  }
}

/** One pixel is enough to find out, before the worker is bothered. */
function isReadable(picture: HTMLImageElement): boolean {
  const context = document.createElement('canvas').getContext('2d')!;
  context.drawImage(picture, 0, 0, 1, 1);
  try {
    context.getImageData(0, 0, 1, 1);
    return true;
  } catch {
    return false;
  }
}
