import { ElfinError } from '../../base/errors.ts';
import { asRgb, type PixelImage } from '../../image/pixels.ts';

/** Pixels as a canvas takes them. */
export function toImageData(image: PixelImage): ImageData {
  return stripOf(asRgb(image), 0, image.height);
}

// Converting and drawing this many takes a few milliseconds, a fraction of a frame.
const STRIP_PIXELS = 1 << 17;

/** Draws pixels into the upper left corner in strips, between which the page gets its turn. */
export async function paintPixels(
  context: CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D,
  image: PixelImage,
): Promise<void> {
  const { width, height } = image;
  const rgb = asRgb(image);
  const rows = Math.max(1, Math.floor(STRIP_PIXELS / width));
  for (let y = 0; y < height; y += rows) {
    if (y > 0) await new Promise((resolve) => setTimeout(resolve));
    context.putImageData(stripOf(rgb, y, Math.min(rows, height - y)), 0, y);
  }
}

/** Pixels as a bitmap. Errors: OUT_OF_MEMORY. */
export async function toBitmap(image: PixelImage): Promise<ImageBitmap> {
  const { width, height } = image;
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d');
  if (!context) {
    throw new ElfinError('OUT_OF_MEMORY', `The browser gives no canvas of ${width} × ${height} pixels.`);
  }
  await paintPixels(context, image);
  return canvas.transferToImageBitmap();
}

function stripOf({ width, channels, data }: PixelImage, top: number, rows: number): ImageData {
  const out = new ImageData(width, rows);
  // Four samples at once, in the order of every machine that browsers run on.
  const pixels = new Uint32Array(out.data.buffer);
  const shift = data instanceof Uint16Array ? 8 : 0;
  for (let from = top * width * channels, to = 0; to < pixels.length; from += channels, to++) {
    const alpha = channels === 4 ? data[from + 3]! >> shift : 255;
    pixels[to] =
      (alpha << 24) | ((data[from + 2]! >> shift) << 16) | ((data[from + 1]! >> shift) << 8) | (data[from]! >> shift);
  }
  return out;
}
