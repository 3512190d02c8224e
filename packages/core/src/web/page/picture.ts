import { ElfinError, isElfinError } from '../../base/errors.ts';
import { guarded } from '../bitmap.ts';
import type { WebPicture } from './input.ts';

/** What a picture of the page shows now. Errors: INPUT_UNREADABLE. */
export async function bitmapOf(picture: WebPicture): Promise<ImageBitmap> {
  try {
    if ('decode' in picture) await picture.decode();
    if ('readyState' in picture && picture.readyState < picture.HAVE_CURRENT_DATA) {
      throw new ElfinError('INPUT_UNREADABLE', 'The video has no frame yet; wait for its loadeddata event.');
    }
    if (!isReadable(picture)) throw guarded(undefined);
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
function isReadable(picture: WebPicture): boolean {
  const context = Object.assign(document.createElement('canvas'), { width: 1, height: 1 }).getContext('2d')!;
  context.drawImage(picture, 0, 0, 1, 1);
  try {
    context.getImageData(0, 0, 1, 1);
    return true;
  } catch {
    return false;
  }
}
