import type { PixelImage, Rect } from '@elfin/core';

/** A copy of a part that lies inside the image. */
export function cropPixels(image: PixelImage, rect: Rect): PixelImage {
  const { channels } = image;
  const row = rect.width * channels;
  const data = image.data.slice(0, row * rect.height);
  for (let y = 0; y < rect.height; y++) {
    const start = ((rect.y + y) * image.width + rect.x) * channels;
    data.set(image.data.subarray(start, start + row), y * row);
  }
  return { width: rect.width, height: rect.height, channels, data };
}
