import type { Attribute, Node } from '../../graph/graph.ts';
import { type Sizes, type Small, sideOf } from './operation.ts';
import type { Lowering } from './values.ts';

// Operators of tensors that are no pictures: a few thousand numbers an image, in plain loops. All are dense and row-major.

type Handler = (l: Lowering, node: Node) => void;
type Combine = (a: number, b: number) => number;

const volume = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);
const attribute = (attributes: Node['attributes'], name: string): Attribute | undefined => attributes[name];
const axisOf = (node: Node, rank: number) => {
  const axis = attribute(node.attributes, 'axis');
  const value = axis && 'int' in axis ? axis.int : -1;
  return value < 0 ? value + rank : value;
};

function emit(l: Lowering, reads: readonly Small[], writes: Small, run: (floats: Float32Array, sizes: Sizes) => void) {
  l.operations.push({ kind: 'small', reads, writes, run: (sizes) => run(l.machine.floats(), sizes) });
}

function unary(work: (x: number) => number): Handler {
  return (l, node) => {
    const [x, out] = [l.small(node, 0), l.newSmall(node)];
    const [from, to, length] = [x.address / 4, out.address / 4, volume(out.shape)];
    emit(l, [x], out, (floats) => {
      for (let i = 0; i < length; i++) floats[to + i] = work(floats[from + i]!);
    });
  };
}

/** For each element of `shape`, where a tensor that is broadcast to it has its own. */
function broadcast(from: readonly number[], shape: readonly number[]): Int32Array {
  const padded = [...new Array<number>(shape.length - from.length).fill(1), ...from];
  const index = new Int32Array(volume(shape));
  for (let i = 0; i < index.length; i++) {
    let [rest, at, step] = [i, 0, 1];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const place = rest % shape[axis]!;
      rest = Math.floor(rest / shape[axis]!);
      if (padded[axis] !== 1) at += place * step;
      step *= padded[axis]!;
    }
    index[i] = at;
  }
  return index;
}

function binary(work: Combine): Handler {
  return (l, node) => {
    const [a, b, out] = [l.small(node, 0), l.small(node, 1), l.newSmall(node)];
    const [atA, atB] = [broadcast(a.shape, out.shape), broadcast(b.shape, out.shape)];
    const [fromA, fromB, to] = [a.address / 4, b.address / 4, out.address / 4];
    emit(l, [a, b], out, (floats) => {
      for (let i = 0; i < atA.length; i++) floats[to + i] = work(floats[fromA + atA[i]!]!, floats[fromB + atB[i]!]!);
    });
  };
}

/** A 1×1 convolution of a single pixel. */
function conv(l: Lowering, node: Node): void {
  const [x, weight] = [l.small(node, 0), l.small(node, 1)];
  const bias = node.inputs[2] ? l.small(node, 2) : undefined;
  const [columns, depth, ...kernel] = weight.shape as [number, number, number, number];
  if (volume(kernel) !== 1 || volume(x.shape) !== depth) l.fail(node);
  const out = l.newSmall(node);
  emit(l, [x], out, (floats) => {
    for (let j = 0; j < columns; j++) {
      let sum = bias ? floats[bias.address / 4 + j]! : 0;
      for (let i = 0; i < depth; i++) sum += floats[weight.address / 4 + j * depth + i]! * floats[x.address / 4 + i]!;
      floats[out.address / 4 + j] = sum;
    }
  });
}

function matmul(l: Lowering, node: Node): void {
  const [a, b, out] = [l.small(node, 0), l.small(node, 1), l.newSmall(node)];
  const [rows, columns] = out.shape.slice(-2) as [number, number];
  const depth = a.shape.at(-1)!;
  const batch = out.shape.slice(0, -2);
  const [atA, atB] = [broadcast(a.shape.slice(0, -2), batch), broadcast(b.shape.slice(0, -2), batch)];
  emit(l, [a, b], out, (floats) => {
    for (let n = 0; n < atA.length; n++) {
      const [fromA, fromB] = [a.address / 4 + atA[n]! * rows * depth, b.address / 4 + atB[n]! * depth * columns];
      const to = out.address / 4 + n * rows * columns;
      floats.fill(0, to, to + rows * columns);
      for (let i = 0; i < rows; i++) {
        for (let k = 0; k < depth; k++) {
          const x = floats[fromA + i * depth + k]!;
          const row = fromB + k * columns;
          for (let j = 0; j < columns; j++) floats[to + i * columns + j]! += x * floats[row + j]!;
        }
      }
    }
  });
}

function softmax(l: Lowering, node: Node): void {
  const [x, out] = [l.small(node, 0), l.newSmall(node)];
  const length = x.shape.at(-1)!;
  if (axisOf(node, x.shape.length) !== x.shape.length - 1) l.fail(node);
  const rows = volume(x.shape) / length;
  emit(l, [x], out, (floats) => {
    for (let row = 0; row < rows; row++) {
      const [from, to] = [x.address / 4 + row * length, out.address / 4 + row * length];
      let most = Number.NEGATIVE_INFINITY;
      for (let i = 0; i < length; i++) most = Math.max(most, floats[from + i]!);
      let sum = 0;
      for (let i = 0; i < length; i++) {
        const value = Math.exp(floats[from + i]! - most);
        floats[to + i] = value;
        sum += value;
      }
      for (let i = 0; i < length; i++) floats[to + i]! /= sum;
    }
  });
}

function transpose(l: Lowering, node: Node): void {
  const perm = attribute(node.attributes, 'perm');
  const order = perm && 'ints' in perm ? perm.ints : [];
  const [x, out] = [l.small(node, 0), l.newSmall(node)];
  const steps = x.shape.map((_, axis) => volume(x.shape.slice(axis + 1)));
  const from = Int32Array.from({ length: volume(out.shape) }, (_, i) => {
    let [rest, at] = [i, 0];
    for (let axis = out.shape.length - 1; axis >= 0; axis--) {
      at += (rest % out.shape[axis]!) * steps[order[axis]!]!;
      rest = Math.floor(rest / out.shape[axis]!);
    }
    return at;
  });
  emit(l, [x], out, (floats) => {
    for (let i = 0; i < from.length; i++) floats[out.address / 4 + i] = floats[x.address / 4 + from[i]!]!;
  });
}

function concat(l: Lowering, node: Node): void {
  const parts = node.inputs.map((_, i) => l.small(node, i));
  const out = l.newSmall(node);
  const axis = axisOf(node, out.shape.length);
  // Rows of one image: whatever lies before the axis is 1.
  if (volume(out.shape.slice(0, axis)) !== 1) l.fail(node);
  emit(l, parts, out, (floats) => {
    let to = out.address / 4;
    for (const { address, shape } of parts) {
      floats.copyWithin(to, address / 4, address / 4 + volume(shape));
      to += volume(shape);
    }
  });
}

function slice(l: Lowering, node: Node): void {
  const x = l.small(node, 0);
  const [start, end, axis] = [1, 2, 3].map((i) => l.constant(node.inputs[i] ?? '')?.[0]);
  if (start === undefined || end === undefined || axis === undefined || node.inputs[4]) l.fail(node);
  if (volume(x.shape.slice(0, axis)) !== 1) l.fail(node);
  const out = l.newSmall(node);
  const row = volume(x.shape.slice(axis + 1));
  emit(l, [x], out, (floats) => {
    const from = x.address / 4;
    floats.copyWithin(out.address / 4, from + start * row, from + end * row);
  });
}

/** Sides that are known when the graph runs. */
function shape(l: Lowering, node: Node): void {
  const [start, end] = ['start', 'end'].map((name) => attribute(node.attributes, name));
  const sides = l
    .shape(node.inputs[0]!)
    .slice(start && 'int' in start ? start.int : 0, end && 'int' in end ? end.int : undefined);
  const out = l.newSmall(node);
  emit(l, [], out, (floats, sizes) =>
    floats.set(
      sides.map((side) => sideOf(side, sizes)),
      out.address / 4,
    ),
  );
}

function reduceProduct(l: Lowering, node: Node): void {
  const [x, out] = [l.small(node, 0), l.newSmall(node)];
  if (out.shape.length > 0) l.fail(node);
  emit(l, [x], out, (floats) => {
    let product = 1;
    for (let i = 0; i < volume(x.shape); i++) product *= floats[x.address / 4 + i]!;
    floats[out.address / 4] = product;
  });
}

export const SMALL_OPERATORS: Readonly<Record<string, Handler>> = {
  Add: binary((a, b) => a + b),
  Sub: binary((a, b) => a - b),
  Mul: binary((a, b) => a * b),
  Div: binary((a, b) => a / b),
  Max: binary((a, b) => Math.max(a, b)),
  Relu: unary((x) => Math.max(x, 0)),
  Sigmoid: unary((x) => 1 / (1 + Math.exp(-x))),
  Sqrt: unary(Math.sqrt),
  Conv: conv,
  MatMul: matmul,
  Softmax: softmax,
  Transpose: transpose,
  Concat: concat,
  Slice: slice,
  Shape: shape,
  ReduceProd: reduceProduct,
};
