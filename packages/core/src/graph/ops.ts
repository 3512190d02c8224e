import type { ElementType, Scope, Value } from './graph.ts';
import { type Dim, over, type Shape, sameDim, times, volume } from './shape.ts';

// Every function takes the scope that names its node and heads its errors, checks the shapes, and infers the result's.
// Images are N C H W. Attributes and axes are ONNX's, opset 17 to 20.

const one = (
  s: Scope,
  op: string,
  inputs: readonly (Value | undefined)[],
  type: ElementType,
  shape: Shape,
  attributes = {},
  wide = false,
) => s.node(op, inputs, [{ type, shape }], attributes, wide)[0]!;

const unary = (op: string) => (s: Scope, x: Value) => one(s, op, [x], x.type, x.shape);
/** max(x, 0). */
export const relu = unary('Relu');
export const sigmoid = unary('Sigmoid');
export const erf = unary('Erf');
export const sqrt = unary('Sqrt');
/** Rounds halves to even. */
export const round = unary('Round');

/** Shape that `a` and `b` broadcast to, numpy's rule. */
function broadcast(s: Scope, op: string, a: Shape, b: Shape): Dim[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, axis) => {
    const x = a[axis - rank + a.length] ?? 1;
    const y = b[axis - rank + b.length] ?? 1;
    if (sameDim(x, y) || y === 1) return x;
    return x === 1 ? y : s.fail(`${op} cannot broadcast`, a, b);
  });
}

const binary = (op: string) => (s: Scope, a: Value, b: Value) => {
  if (a.type !== b.type) s.fail(`${op} of ${a.type} and ${b.type}`);
  return one(s, op, [a, b], a.type, broadcast(s, op, a.shape, b.shape));
};
export const add = binary('Add');
export const sub = binary('Sub');
export const mul = binary('Mul');
export const div = binary('Div');
export const max = binary('Max');

/** x², in float32 even where the rest is halved: its range is twice that of x. */
export const square = (s: Scope, x: Value) => one(s, 'Mul', [x, x], x.type, x.shape, {}, true);

/** `x` times a number. */
export const scale = (s: Scope, x: Value, by: number) => mul(s, x, s.constant([by], []));

/** x where it is positive, alpha · x elsewhere. */
export const leakyRelu = (s: Scope, x: Value, alpha: number) =>
  one(s, 'LeakyRelu', [x], x.type, x.shape, { alpha: { float: alpha } });

/** The exact one, x/2 · (1 + erf(x/√2)), written so that runtimes recognise and fuse it. */
export function gelu(s: Scope, x: Value): Value {
  if (s.opset >= 20) return one(s, 'Gelu', [x], x.type, x.shape);
  const e = erf(s, div(s, x, s.constant([Math.SQRT2], [])));
  return scale(s, mul(s, x, add(s, e, s.constant([1], []))), 0.5);
}

/** x held between `low` and `high`. */
export const clip = (s: Scope, x: Value, low: number, high: number) =>
  one(s, 'Clip', [x, s.constant([low], []), s.constant([high], [])], x.type, x.shape);

const CAST_CODES = { float32: 1, uint8: 2, int64: 7, bool: 9, float16: 10 } as const satisfies Record<
  ElementType,
  number
>;
/** The same numbers as another type. */
export const cast = (s: Scope, x: Value, type: ElementType) =>
  one(s, 'Cast', [x], type, x.shape, { to: { int: CAST_CODES[type] } });

/** exp(x) over its sum along `axis`. */
export const softmax = (s: Scope, x: Value, axis = -1) =>
  one(s, 'Softmax', [x], x.type, x.shape, { axis: { int: axis } });

/** A convolution beyond its weight. */
export interface ConvOptions {
  readonly bias?: Value;
  readonly stride?: number;
  readonly groups?: number;
}

/** Square convolution, padded by half the kernel. Weight: [out, in/groups, k, k]. */
export function conv(s: Scope, x: Value, weight: Value, { bias, stride = 1, groups = 1 }: ConvOptions = {}): Value {
  const [n, c, h, w] = image(s, 'Conv', x);
  const [out, into, k, k2] = weight.shape;
  if (
    weight.shape.length !== 4 ||
    !sameDim(c, times(into!, groups)) ||
    k !== k2 ||
    typeof k !== 'number' ||
    Number(out) % groups !== 0
  ) {
    s.fail(`Conv of ${groups} groups does not fit its weight`, x.shape, weight.shape);
  }
  if (bias && (bias.shape.length !== 1 || !sameDim(bias.shape[0]!, out!)))
    s.fail('Conv bias does not fit', weight.shape, bias.shape);
  const pad = ((k as number) - 1) / 2;
  const shape = [n, out!, over(h, stride), over(w, stride)];
  s.count('convolution', times(volume(shape), times(into!, (k as number) ** 2)));
  return one(s, 'Conv', bias ? [x, weight, bias] : [x, weight], x.type, shape, {
    kernel_shape: { ints: [k as number, k as number] },
    pads: { ints: [pad, pad, pad, pad] },
    strides: { ints: [stride, stride] },
    group: { int: groups },
  });
}

/** Batched matrix product over the last two axes; `wide` for sums over pixels, which have no bound. */
export function matmul(s: Scope, a: Value, b: Value, { wide = false } = {}): Value {
  const [m, k] = a.shape.slice(-2);
  const [k2, n] = b.shape.slice(-2);
  if (a.shape.length < 2 || b.shape.length < 2 || !sameDim(k!, k2!))
    s.fail('MatMul inner sides differ', a.shape, b.shape);
  const batch = broadcast(s, 'MatMul', a.shape.slice(0, -2), b.shape.slice(0, -2));
  return one(s, 'MatMul', [a, b], a.type, [...batch, m!, n!], {}, wide);
}

/** Reduces `axes` to 1. */
export function reduce(s: Scope, kind: 'Mean' | 'Sum' | 'SumSquare', x: Value, axes: readonly number[]): Value {
  const shape = x.shape.map((dim, axis) => (axes.includes(axis) ? 1 : dim));
  if (axes.some((axis) => axis < 0 || axis >= x.shape.length))
    s.fail(`Reduce${kind} over axes ${axes.join()}`, x.shape);
  const keep = { keepdims: { int: 1 } };
  // ReduceSum takes its axes as an input since opset 13, the others since 18.
  const wide = kind !== 'Mean';
  return kind === 'Sum' || s.opset >= 18
    ? one(s, `Reduce${kind}`, [x, s.constant(axes, [axes.length], 'int64')], x.type, shape, keep, wide)
    : one(s, `Reduce${kind}`, [x], x.type, shape, { ...keep, axes: { ints: axes } }, wide);
}

/** N C H W → N C 1 1. */
export function globalAveragePool(s: Scope, x: Value): Value {
  const [n, c] = image(s, 'GlobalAveragePool', x);
  return one(s, 'GlobalAveragePool', [x], x.type, [n, c, 1, 1], {}, true);
}

/** Bilinear, half-pixel centres (align_corners = false), by a factor a power of two up or down. */
export function resize(s: Scope, x: Value, factor: number): Value {
  const [n, c, h, w] = image(s, 'Resize', x);
  const side = (dim: Dim) => (factor >= 1 ? times(dim, factor) : over(dim, 1 / factor));
  return one(s, 'Resize', [x, undefined, s.constant([1, 1, factor, factor], [4])], x.type, [n, c, side(h), side(w)], {
    mode: { string: 'linear' },
    coordinate_transformation_mode: { string: 'half_pixel' },
  });
}

/** Joins values along `axis`. */
export function concat(s: Scope, values: readonly Value[], axis: number): Value {
  const [first] = values;
  if (!first) return s.fail('Concat of nothing');
  let total = 0;
  for (const value of values) {
    const side = value.shape[axis];
    if (typeof side !== 'number' || value.shape.some((dim, i) => i !== axis && !sameDim(dim, first.shape[i]!))) {
      s.fail(`Concat along axis ${axis}`, first.shape, value.shape);
    }
    total += side as number;
  }
  return one(s, 'Concat', values, first.type, first.shape.with(axis, total), { axis: { int: axis } });
}

/** Cuts `axis` into pieces of the given sides. */
export function split(s: Scope, x: Value, axis: number, sides: readonly Dim[]): readonly Value[] {
  const side = x.shape[axis]!;
  const even = sides.every((dim) => sameDim(dim, sides[0]!)) && sameDim(times(sides[0]!, sides.length), side);
  const numbers = sides.filter((dim) => typeof dim === 'number');
  const exact = numbers.length === sides.length && numbers.reduce((a, b) => a + b, 0) === side;
  if (!even && !exact) s.fail(`Split of axis ${axis} into`, x.shape, sides);
  const results = sides.map((dim) => ({ type: x.type, shape: x.shape.with(axis, dim) }));
  if (!even)
    return s.node('Split', [x, s.constant(numbers, [numbers.length], 'int64')], results, { axis: { int: axis } });
  return s.node('Split', [x], results, {
    axis: { int: axis },
    ...(s.opset >= 18 && { num_outputs: { int: sides.length } }),
  });
}

/** Elements `start` to `end` (exclusive) of one axis of known side. */
export function slice(s: Scope, x: Value, axis: number, start: number, end: number): Value {
  const side = x.shape[axis];
  if (typeof side !== 'number' || start < 0 || end > side || start >= end)
    s.fail(`Slice ${start}:${end} of axis ${axis}`, x.shape);
  const at = (value: number) => s.constant([value], [1], 'int64');
  return one(s, 'Slice', [x, at(start), at(end), at(axis)], x.type, x.shape.with(axis, end - start));
}

/** Every `step`-th row and column of N C H W, beginning with the first. */
export function stride(s: Scope, x: Value, step: number): Value {
  const [n, c, h, w] = image(s, 'Slice', x);
  const pair = (value: number) => s.constant([value, value], [2], 'int64');
  const all = s.constant([0x7fffffff, 0x7fffffff], [2], 'int64');
  const axes = s.constant([2, 3], [2], 'int64');
  return one(s, 'Slice', [x, pair(0), all, axes, pair(step)], x.type, [n, c, over(h, step), over(w, step)]);
}

/**
 * Reshape. Symbolic sides need no arithmetic at run time where each stands at its old axis (ONNX's 0) or is the only other
 * one (ONNX's -1); else they are read off `like`, a value that has them among its own.
 */
export function reshape(s: Scope, x: Value, shape: Shape, like?: Value): Value {
  if (!sameDim(volume(x.shape), volume(shape))) s.fail('Reshape changes the number of elements', x.shape, shape);
  const kept = (dim: Dim, axis: number) => axis < x.shape.length && sameDim(dim, x.shape[axis]!);
  const open = shape.filter((dim, axis) => typeof dim !== 'number' && !kept(dim, axis));
  const target = shape.map((dim, axis) => (typeof dim === 'number' ? dim : kept(dim, axis) ? 0 : -1));
  if (open.length < 2) return one(s, 'Reshape', [x, vector(s, target)], x.type, shape);
  const pieces = shape.map((dim, axis) => {
    if (target[axis] !== -1) return vector(s, [target[axis]!]);
    const from = like?.shape.findIndex((side) => sameDim(side, dim)) ?? -1;
    if (from < 0) return s.fail('Reshape knows no value to read a side off', x.shape, shape);
    return sides(s, like!, from, from + 1);
  });
  return one(s, 'Reshape', [x, concat(s, pieces, 0)], x.type, shape);
}

const vector = (s: Scope, values: readonly number[]) => s.constant(values, [values.length], 'int64');

/** Axes in the order given. */
export function transpose(s: Scope, x: Value, order: readonly number[]): Value {
  if ([...order].sort((a, b) => a - b).join() !== x.shape.map((_, axis) => axis).join())
    s.fail(`Transpose by ${order.join()}`, x.shape);
  return one(
    s,
    'Transpose',
    [x],
    x.type,
    order.map((axis) => x.shape[axis]!),
    { perm: { ints: order } },
  );
}

/** Pixel shuffle: N C·b² H W → N C H·b W·b, channels outermost (`CRD`). */
export function depthToSpace(s: Scope, x: Value, block: number): Value {
  const [n, c, h, w] = image(s, 'DepthToSpace', x);
  return one(s, 'DepthToSpace', [x], x.type, [n, over(c, block ** 2), times(h, block), times(w, block)], {
    blocksize: { int: block },
    mode: { string: 'CRD' },
  });
}

/** Sides `start` to `end` (exclusive) of x, as an int64 vector known at run time. */
export function sides(s: Scope, x: Value, start: number, end: number): Value {
  return one(s, 'Shape', [x], 'int64', [end - start], { start: { int: start }, end: { int: end } });
}

function image(s: Scope, op: string, x: Value): readonly [Dim, Dim, Dim, Dim] {
  if (x.shape.length !== 4) s.fail(`${op} takes N C H W`, x.shape);
  return x.shape as unknown as readonly [Dim, Dim, Dim, Dim];
}

/** Product of all elements, a scalar. */
export const reduceProduct = (s: Scope, x: Value) => one(s, 'ReduceProd', [x], x.type, [], { keepdims: { int: 0 } });
