import { ElfinError } from '../base/errors.ts';

/** One side of a tensor: a number, or a rational multiple of a product of named symbols, for example `H/2` or `H*W/4`. */
export type Dim = number | SymbolicDim;

/** A side known at run time: numerator · symbols / denominator. */
export interface SymbolicDim {
  readonly numerator: number;
  readonly denominator: number;
  /** Sorted, repeated where a power is meant. */
  readonly symbols: readonly string[];
}

/** Sides, outermost first. */
export type Shape = readonly Dim[];

/** A side known only when the graph runs. The graph relies on its divisions being exact: sides are multiples of 16. */
export function symbol(name: string): Dim {
  return { numerator: 1, denominator: 1, symbols: [name] };
}

function reduced(numerator: number, denominator: number, symbols: readonly string[]): Dim {
  let [a, b] = [numerator, denominator];
  while (b !== 0) [a, b] = [b, a % b];
  const [n, d] = [numerator / a, denominator / a];
  if (symbols.length > 0) return { numerator: n, denominator: d, symbols };
  if (d !== 1)
    throw new ElfinError('GRAPH_INVALID', `A side of ${n}/${d} is no whole number: sides must be multiples of 16.`);
  return n;
}

function parts(dim: Dim): SymbolicDim {
  return typeof dim === 'number' ? { numerator: dim, denominator: 1, symbols: [] } : dim;
}

/** a · b. */
export function times(a: Dim, b: Dim): Dim {
  const [x, y] = [parts(a), parts(b)];
  return reduced(x.numerator * y.numerator, x.denominator * y.denominator, [...x.symbols, ...y.symbols].sort());
}

/** `dim / by`; a number has to divide exactly (GRAPH_INVALID). */
export function over(dim: Dim, by: number): Dim {
  const x = parts(dim);
  return reduced(x.numerator, x.denominator * by, x.symbols);
}

/** Number of elements of a shape. */
export function volume(shape: Shape): Dim {
  return shape.reduce(times, 1);
}

/** Whether two sides are equal whatever their symbols stand for. */
export function sameDim(a: Dim, b: Dim): boolean {
  return formatDim(a) === formatDim(b);
}

/** Whether all sides are. */
export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dim, axis) => sameDim(dim, b[axis]!));
}

/** `a / b` when that is a number, else undefined: `H/2` over `H/8` is 4. */
export function ratio(a: Dim, b: Dim): number | undefined {
  const [x, y] = [parts(a), parts(b)];
  if (x.symbols.join() !== y.symbols.join()) return undefined;
  return (x.numerator * y.denominator) / (x.denominator * y.numerator);
}

/** Also the name that the side bears in the ONNX file: `H/2`, `3*H*W/4`. */
export function formatDim(dim: Dim): string {
  if (typeof dim === 'number') return String(dim);
  const factors = dim.numerator === 1 ? dim.symbols : [String(dim.numerator), ...dim.symbols];
  return factors.join('*') + (dim.denominator === 1 ? '' : `/${dim.denominator}`);
}

/** For messages: `[N, 3, H/2, W/2]`. */
export function formatShape(shape: Shape): string {
  return `[${shape.map(formatDim).join(', ')}]`;
}
