import type { PixelImage } from '../image/pixels.ts';
import { planesOf } from './planes.ts';

/** Lines between tiles: x of the first column, y of the first row that lies behind each. */
export interface SeamLines {
  readonly columns: Iterable<number>;
  readonly rows: Iterable<number>;
}

/**
 * How visible the borders of tiles are: the mean |jump of the gradient| of Y at the given lines over its mean elsewhere. 1 where a
 * line is like any other place of the picture; compare with the same lines of a picture that was made without tiles. Along a
 * row the jump at x is |(I[x] − I[x−1]) − ((I[x−1] − I[x−2]) + (I[x+1] − I[x])) / 2|; along a column likewise.
 * @returns `NaN` where no line lies at least two pixels inside the picture
 */
export function seamStrength(image: PixelImage, { columns, rows }: SeamLines): number {
  const { width, height } = image;
  const [acrossColumns, acrossRows] = [new Set(columns), new Set(rows)];
  const planes = planesOf(image, 'y');
  // Rows y−2 to y+1, oldest first: I[y−1] is the second.
  const window = Array.from({ length: 4 }, () => new Float64Array(width));
  const at = { line: 0, lines: 0, other: 0, others: 0 };
  const note = (onLine: boolean, sum: number, count: number) => {
    at[onLine ? 'line' : 'other'] += sum;
    at[onLine ? 'lines' : 'others'] += count;
  };
  for (let y = 0; y < height; y++) {
    window.push(window.shift()!);
    const row = window[3]!;
    planes.row(0, y, row);
    for (let x = 2; x < width - 1; x++)
      note(acrossColumns.has(x), jump(row[x - 2]!, row[x - 1]!, row[x]!, row[x + 1]!), 1);
    if (y < 3) continue;
    let sum = 0;
    for (let x = 0; x < width; x++) sum += jump(window[0]![x]!, window[1]![x]!, window[2]![x]!, row[x]!);
    note(acrossRows.has(y - 1), sum, width);
  }
  return at.line / at.lines / (at.other / at.others);
}

function jump(a: number, b: number, c: number, d: number): number {
  return Math.abs(c - b - (b - a + d - c) / 2);
}
