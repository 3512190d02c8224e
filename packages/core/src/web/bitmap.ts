import { ElfinError } from '../base/errors.ts';
import { type PixelImage, splitAlpha } from '../image/pixels.ts';

/**
 * Pixels of a bitmap, which is closed; without alpha where every pixel is opaque, which a bitmap does not tell.
 * Errors: OUT_OF_MEMORY, INPUT_UNREADABLE for what another site guards.
 */
export function readBitmap(bitmap: ImageBitmap): PixelImage {
  const { width, height } = bitmap;
  try {
    const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true })!;
    context.drawImage(bitmap, 0, 0);
    const { data } = context.getImageData(0, 0, width, height);
    const image = { width, height, channels: 4, data } as const;
    for (let i = 3; i < data.length; i += 4) if (data[i] !== 255) return image;
    return splitAlpha(image).colour;
  } catch (cause) {
    if ((cause as Error).name === 'SecurityError') throw guarded(cause);
    throw new ElfinError(
      'OUT_OF_MEMORY',
      `The browser gives no canvas of ${width} × ${height} pixels; shrink the image.`,
      { cause },
    );
  } finally {
    bitmap.close();
  }
}

/** The error for pictures of other sites. */
export function guarded(cause: unknown): ElfinError {
  return new ElfinError(
    'INPUT_UNREADABLE',
    'The picture comes from another site that does not let this page read it; serve it with CORS headers and set crossorigin="anonymous".',
    { cause },
  );
}
