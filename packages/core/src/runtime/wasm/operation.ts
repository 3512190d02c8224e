import type { Dim, Shape } from '../../graph/shape.ts';

/** A picture between two operators: rows of pixels, channels last, padded with zeros to whole vectors. */
export interface Plane {
  readonly name: string;
  readonly channels: number;
  /** Bytes from pixel to pixel. */
  readonly stride: number;
  readonly height: Dim;
  readonly width: Dim;
}

/** A tensor that is no picture: it has a place in memory as long as the graph. */
export interface Small {
  readonly name: string;
  /** Without batch: N counts as one. */
  readonly shape: readonly number[];
  readonly address: number;
}

/** How much of a plane one row of a result needs: its own row, that and its neighbours, or any. */
export type Reach = 0 | 1 | 'all';

/** Where a plane's rows lie; all of them, or the last few in a ring. */
export interface Rows {
  readonly width: number;
  readonly height: number;
  readonly stride: number;
  /** Address of a row's first pixel. */
  at(y: number): number;
  /** Address of the zero left of it; rows beyond the picture are zeros. */
  edge(y: number): number;
}

/** Work done row by row. */
export interface RowOperation {
  readonly kind: 'rows';
  /** The plane whose grid is walked: the result, or what is summed up. */
  readonly grid: Plane;
  readonly reads: readonly { readonly plane: Plane; readonly reach: Reach; readonly padded?: boolean }[];
  readonly writes?: Plane;
  /** Adds up over all rows; cleared beforehand. */
  readonly sums?: Small;
  /** Smalls that must be known before the first row. */
  readonly needs: readonly Small[];
  /** Done once before the first row. */
  readonly prepare?: () => void;
  /** Binds addresses; the result works on one row. */
  readonly bind: (reads: readonly Rows[], writes: Rows) => (y: number) => void;
}

/** Work on smalls. */
export interface SmallOperation {
  readonly kind: 'small';
  readonly reads: readonly Small[];
  readonly writes: Small;
  readonly run: (sizes: Sizes) => void;
}

export type Operation = RowOperation | SmallOperation;

/** What N, H and W stand for; N is one image at a time. */
export interface Sizes {
  readonly H: number;
  readonly W: number;
}

/** A side in numbers. */
export function sideOf(dim: Dim, { H, W }: Sizes): number {
  if (typeof dim === 'number') return dim;
  const values: Readonly<Record<string, number>> = { N: 1, H, W };
  return dim.symbols.reduce((product, name) => product * values[name]!, dim.numerator) / dim.denominator;
}

/** The shape of one image's small, or undefined where it depends on the sides. */
export function smallShape(shape: Shape): number[] | undefined {
  const sides = shape.map((dim) => (typeof dim === 'number' ? dim : dim.symbols.join() === 'N' ? 1 : undefined));
  return sides.every((side) => side !== undefined) ? sides : undefined;
}
