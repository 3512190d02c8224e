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

/** A window of a shrunken picture where it lies in the picture itself: each pixel as the block that it stands for. */
export function enlargedPreview(
  tile: TilePreview,
  from: { readonly width: number; readonly height: number },
  to: { readonly width: number; readonly height: number },
): TilePreview {
  const edge = (at: number, side: 'width' | 'height') => Math.round((at * to[side]) / from[side]);
  const [x, y] = [edge(tile.x, 'width'), edge(tile.y, 'height')];
  const width = edge(tile.x + tile.width, 'width') - x;
  const height = edge(tile.y + tile.height, 'height') - y;
  const pixels = new Uint32Array(tile.data.buffer, tile.data.byteOffset, tile.width * tile.height);
  const out = new Uint32Array(width * height);
  const columns = Uint32Array.from({ length: width }, (_, i) => Math.floor((i * tile.width) / width));
  for (let row = 0, to = 0; row < height; row++) {
    const from = Math.floor((row * tile.height) / height) * tile.width;
    for (let i = 0; i < width; i++) out[to++] = pixels[from + columns[i]!]!;
  }
  return { x, y, width, height, data: new Uint8ClampedArray(out.buffer) };
}
