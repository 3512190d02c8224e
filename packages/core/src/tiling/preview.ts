import { support } from './axis.ts';
import type { Tile } from './feeds.ts';
import type { Plan } from './plan.ts';

/**
 * One window's result as soon as it is there, to be shown: RGBA, 8 bits, opaque, at full strength. Neighbours are not blended in
 * yet, so near a seam it may differ by a little from the image that comes out in the end.
 */
export interface TilePreview {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray<ArrayBuffer>;
}

/** The pixels that a window contributes to, inside the picture; `undefined` for a window that lies in the padding. */
export function previewTile(plan: Plan, { column, row }: Tile, planes: Float32Array): TilePreview | undefined {
  const across = support(plan.columns, column);
  const down = support(plan.rows, row);
  const width = Math.min(across.end, plan.width) - across.start;
  const height = Math.min(down.end, plan.height) - down.start;
  if (width <= 0 || height <= 0) return undefined;
  const size = plan.window.width * plan.window.height;
  const data = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let y = 0, to = 0; y < height; y++) {
    let from =
      (down.start + y - plan.rows.starts[row]!) * plan.window.width + across.start - plan.columns.starts[column]!;
    // Clamping and rounding are the array's own.
    for (let x = 0; x < width; x++, from++, to += 4) {
      data[to] = planes[from]! * 255;
      data[to + 1] = planes[from + size]! * 255;
      data[to + 2] = planes[from + 2 * size]! * 255;
    }
  }
  return { x: across.start, y: down.start, width, height, data };
}
