import type { Attribute, Node } from '../../graph/graph.ts';
import { sameDim } from '../../graph/shape.ts';
import { type Plane, type Reach, type RowOperation, type Rows, type Sizes, type Small, sideOf } from './operation.ts';
import { packConvolution, spreadTaps } from './pack.ts';
import type { Lowering } from './values.ts';

// Operators whose operands and results are pictures, each as what it does to one row.

type Row = (y: number) => void;
type Handler = (l: Lowering, node: Node) => void;

const int = (attribute: Attribute | undefined, otherwise = 0) =>
  attribute && 'int' in attribute ? attribute.int : otherwise;
const float = (attribute: Attribute | undefined) => (attribute && 'float' in attribute ? attribute.float : 0);
const ints = (attribute: Attribute | undefined) => (attribute && 'ints' in attribute ? attribute.ints : []);

const read = (plane: Plane, reach: Reach = 0) => ({ plane, reach });

/** An operation that makes a plane. */
function emit(
  l: Lowering,
  writes: Plane,
  reads: RowOperation['reads'],
  bind: (reads: readonly Rows[], writes: Rows) => Row,
  rest: { readonly needs?: readonly Small[]; readonly prepare?: () => void } = {},
): void {
  l.operations.push({ kind: 'rows', grid: writes, reads, writes, needs: [], ...rest, bind });
}

/** A row at a time, as so many bytes. */
function unary(l: Lowering, node: Node, work: (out: number, a: number, size: number) => void): void {
  emit(l, l.newPlane(node), [read(l.plane(node, 0))], ([a], out) => {
    const size = out.width * out.stride;
    return (y) => work(out.at(y), a!.at(y), size);
  });
}

/** Add, Sub or Mul of two pictures, or of a picture with a number a channel or a pixel. */
function binary(both: 'add' | 'sub' | 'mul', perChannel?: 'addChannels' | 'mulChannels'): Handler {
  return (l: Lowering, node: Node) => {
    const a = l.plane(node, 0);
    if (!l.isPlane(node, 1)) {
      if (!perChannel) l.fail(node);
      channelwise(l, node, a, perChannel);
    } else pixelwise(l, node, a, l.plane(node, 1), both);
  };
}

function channelwise(l: Lowering, node: Node, a: Plane, kernel: 'addChannels' | 'mulChannels'): void {
  const vector = channelVector(l, node, 1, a);
  const { kernels: k } = l.machine;
  emit(
    l,
    l.newPlane(node),
    [read(a)],
    ([a], out) =>
      (y) =>
        k[kernel](out.at(y), a!.at(y), vector.address, out.stride, out.width),
    { needs: [vector] },
  );
}

function pixelwise(l: Lowering, node: Node, a: Plane, b: Plane, kernel: 'add' | 'sub' | 'mul'): void {
  const { kernels: k } = l.machine;
  if (!sameDim(a.height, b.height) || !sameDim(a.width, b.width)) l.fail(node);
  const spreads = kernel === 'mul' && b.channels === 1;
  if (a.channels !== b.channels && !spreads) l.fail(node);
  emit(l, l.newPlane(node), [read(a), read(b)], ([a, b], out) => {
    const size = out.width * out.stride;
    return spreads
      ? (y) => k.mulPixels(out.at(y), a!.at(y), b!.at(y), b!.stride, out.stride, out.width)
      : (y) => k[kernel](out.at(y), a!.at(y), b!.at(y), size);
  });
}

/** A small as one number a channel; a single one is repeated. */
function channelVector(l: Lowering, node: Node, input: number, { channels }: Plane): Small {
  const name = node.inputs[input]!;
  const known = l.constant(name);
  if (known?.length === 1) {
    const all = new Float32Array(channels).fill(known[0]!);
    return { name, shape: [channels], address: l.machine.store(all) };
  }
  const small = l.small(node, input);
  const [c, h, w] = small.shape.slice(-3);
  return c === channels && h === 1 && w === 1 ? small : l.fail(node);
}

function conv(l: Lowering, node: Node): void {
  const x = l.plane(node, 0);
  const [size = 1] = ints(node.attributes.kernel_shape);
  const [step = 1] = ints(node.attributes.strides);
  const groups = int(node.attributes.group, 1);
  const weight = l.constant(node.inputs[1]!);
  const bias = node.inputs[2] ? l.constant(node.inputs[2]) : undefined;
  if (!weight || (size !== 1 && size !== 3) || (step > 1 && size !== 3)) l.fail(node);
  const start = bias ? l.machine.store(bias) : 0;
  const out = l.newPlane(node);
  const { kernels: k } = l.machine;
  if (groups > 1) {
    if (groups !== x.channels || out.channels !== groups || size !== 3 || step !== 1) l.fail(node);
    const taps = l.machine.store(spreadTaps(weight, groups, x.stride / 4));
    emit(l, out, [read(x, 1)], ([a], out) => (y) => {
      k.depthwise(out.at(y), a!.edge(y - 1), a!.edge(y), a!.edge(y + 1), taps, start, out.stride, out.width);
    });
  } else {
    const panels = l.machine.store(packConvolution(weight, out.channels, x.channels, size, x.stride / 4));
    if (size === 1) pointConv(l, x, out, panels, start);
    else squareConv(l, x, out, step, panels, start);
  }
}

function pointConv(l: Lowering, x: Plane, out: Plane, panels: number, start: number): void {
  const { kernels: k } = l.machine;
  emit(l, out, [read(x)], ([a], out) => (y) => {
    k.product(out.at(y), out.stride, a!.at(y), 0, 0, a!.stride, a!.stride, panels, start, out.stride / 4, out.width);
  });
}

function squareConv(l: Lowering, x: Plane, out: Plane, step: number, panels: number, start: number): void {
  const { kernels: k } = l.machine;
  const reach = step === 1 ? 1 : 'all';
  emit(l, out, [{ plane: x, reach, padded: true }], ([a], out) => {
    // Three neighbours lie side by side in memory: as one pixel three times as deep.
    const [aStride, depth, columns] = [step * a!.stride, 3 * a!.stride, out.stride / 4];
    return (y) => {
      const [up, mid, low] = [a!.edge(step * y - 1), a!.edge(step * y), a!.edge(step * y + 1)];
      k.product(out.at(y), out.stride, up, mid, low, aStride, depth, panels, start, columns, out.width);
    };
  });
}

function concat(l: Lowering, node: Node): void {
  if (int(node.attributes.axis) !== 1) l.fail(node);
  const parts = node.inputs.map((_, i) => l.plane(node, i));
  const { kernels: k } = l.machine;
  emit(
    l,
    l.newPlane(node),
    parts.map((part) => read(part)),
    (rows, out) => (y) => {
      let to = out.at(y);
      rows.forEach((a, i) => {
        const { channels } = parts[i]!;
        k.copy(to, out.stride, a.at(y), a.stride, channels, out.width);
        to += 4 * channels;
      });
    },
  );
}

function resize(l: Lowering, node: Node): void {
  const factor = l.constant(node.inputs[2]!)?.[2];
  if (!factor) l.fail(node);
  const { kernels: k } = l.machine;
  emit(l, l.newPlane(node), [read(l.plane(node, 0), 'all')], ([a], out) => (y) => {
    const at = (y + 0.5) / factor - 0.5;
    const whole = Math.floor(at);
    const [top, bottom] = [Math.max(whole, 0), Math.min(whole + 1, a!.height - 1)];
    k.resize(out.at(y), a!.at(top), a!.at(bottom), at - whole, factor, out.stride, a!.width, out.width);
  });
}

function depthToSpace(l: Lowering, node: Node): void {
  if (int(node.attributes.blocksize) !== 2) l.fail(node);
  const { kernels: k } = l.machine;
  const out = l.newPlane(node);
  emit(l, out, [read(l.plane(node, 0), 'all')], ([a], to) => (y) => {
    k.depthToSpace(to.at(y), to.stride, a!.at(y >> 1), a!.stride, y & 1, out.channels, a!.width);
  });
}

/** Every so many rows and columns. */
function stride(l: Lowering, node: Node): void {
  const [start, , axes, steps] = [1, 2, 3, 4].map((i) => l.constant(node.inputs[i] ?? ''));
  const step = steps?.[0];
  if (!step || steps[1] !== step || start?.[0] !== 0 || axes?.[0] !== 2 || axes[1] !== 3) l.fail(node);
  const { kernels: k } = l.machine;
  emit(l, l.newPlane(node), [read(l.plane(node, 0), 'all')], ([a], out) => (y) => {
    k.copy(out.at(y), out.stride, a!.at(y * step), step * a!.stride, out.stride / 4, out.width);
  });
}

/** The four quarters of a picture side by side as channels. */
function quadrants(l: Lowering, node: Node): void {
  const a = l.plane(node, 0);
  const { kernels: k } = l.machine;
  emit(l, l.newPlane(node), [read(a, 'all')], ([rows], out) => (y) => {
    for (let quarter = 0; quarter < 4; quarter++) {
      const from = rows!.at(y + (quarter >> 1) * out.height) + (quarter & 1) * out.width * rows!.stride;
      k.copy(out.at(y) + 4 * quarter * a.channels, out.stride, from, rows!.stride, a.channels, out.width);
    }
  });
}

/** Sums over all pixels: a number a channel. */
function sum(l: Lowering, plane: Plane, sums: Small, kernel: 'sumChannels' | 'sumSquares'): void {
  const { kernels: k } = l.machine;
  l.operations.push({
    kind: 'rows',
    grid: plane,
    reads: [read(plane)],
    sums,
    needs: [],
    bind:
      ([a]) =>
      (y) =>
        k[kernel](sums.address, a!.at(y), a!.stride, a!.width),
  });
}

/** Operators of pictures; smalls go elsewhere. */
export const PICTURE_OPERATORS: Readonly<Record<string, Handler>> = {
  Conv: conv,
  Concat: concat,
  Resize: resize,
  DepthToSpace: depthToSpace,
  Slice: stride,
  Quadrants: quadrants,
  Add: binary('add', 'addChannels'),
  Sub: binary('sub'),
  Mul: binary('mul', 'mulChannels'),
  Relu: (l, node) => unary(l, node, l.machine.kernels.relu),
  Gelu: (l, node) => unary(l, node, l.machine.kernels.gelu),
  Round: (l, node) => unary(l, node, l.machine.kernels.round),
  LeakyRelu(l: Lowering, node: Node) {
    const slope = float(node.attributes.alpha);
    unary(l, node, (out, a, size) => l.machine.kernels.leakyRelu(out, a, size, slope));
  },
  Clip(l: Lowering, node: Node) {
    const [low, high] = [l.constant(node.inputs[1]!)?.[0], l.constant(node.inputs[2]!)?.[0]];
    if (low === undefined || high === undefined) l.fail(node);
    unary(l, node, (out, a, size) => l.machine.kernels.clip(out, a, size, low, high));
  },
  Normalise(l: Lowering, node: Node) {
    const x = l.plane(node, 0);
    if (x.channels % 4 !== 0) l.fail(node, `a norm over ${x.channels} channels: only multiples of four`);
    const epsilon = float(node.attributes.epsilon);
    emit(l, l.newPlane(node), [read(x)], ([a], out) => (y) => {
      l.machine.kernels.normalise(out.at(y), a!.at(y), out.stride, out.width, epsilon);
    });
  },
  GeluMul(l: Lowering, node: Node) {
    const [a, b] = [l.plane(node, 0), l.plane(node, 1)];
    if (a.channels !== b.channels) l.fail(node);
    emit(l, l.newPlane(node), [read(a), read(b)], ([a, b], out) => {
      const size = out.width * out.stride;
      return (y) => l.machine.kernels.geluMul(out.at(y), a!.at(y), b!.at(y), size);
    });
  },
  GateAdd(l: Lowering, node: Node) {
    const [a, b] = [l.plane(node, 0), l.plane(node, 2)];
    const gate = channelVector(l, node, 1, a);
    if (a.channels !== b.channels) l.fail(node);
    emit(
      l,
      l.newPlane(node),
      [read(a), read(b)],
      ([a, b], out) =>
        (y) => {
          l.machine.kernels.gateAdd(out.at(y), a!.at(y), gate.address, b!.at(y), out.stride, out.width);
        },
      { needs: [gate] },
    );
  },
  GlobalAveragePool(l: Lowering, node: Node) {
    const plane = l.plane(node, 0);
    const sums = l.newSmall(node);
    // The mean replaces the sum in its own place, when that is complete.
    const total: Small = { ...sums, name: `${sums.name}/sum`, address: l.machine.take(plane.stride / 4) };
    sum(l, plane, total, 'sumChannels');
    l.operations.push(meanOf(l, plane, total, sums));
  },
  ReduceSum(l: Lowering, node: Node) {
    if (Array.from(l.constant(node.inputs[1]!) ?? []).join() !== '2,3') l.fail(node);
    sum(l, l.plane(node, 0), l.newSmall(node), 'sumChannels');
  },
  ReduceSumSquare(l: Lowering, node: Node) {
    const view = l.held(node, 0);
    if (!('plane' in view) || view.as !== 'rows') l.fail(node);
    sum(l, view.plane, l.newSmall(node), 'sumSquares');
  },
  MatMul(l: Lowering, node: Node) {
    const [left, right] = [l.held(node, 0), l.held(node, 1)];
    if ('plane' in left && 'plane' in right && left.as === 'rows' && right.as === 'columns') {
      return gram(l, node, left.plane, right.plane, left.heads);
    }
    if ('small' in left && 'plane' in right && right.as === 'rows' && right.heads === 1) {
      return mix(l, node, left.small, right.plane);
    }
    l.fail(node);
  },
};

function meanOf(l: Lowering, plane: Plane, from: Small, to: Small) {
  return {
    kind: 'small' as const,
    reads: [from],
    writes: to,
    run(sizes: Sizes) {
      const floats = l.machine.floats();
      const share = 1 / (sideOf(plane.height, sizes) * sideOf(plane.width, sizes));
      for (let i = 0; i < plane.channels; i++) floats[to.address / 4 + i] = floats[from.address / 4 + i]! * share;
    },
  };
}

/** Products of channels with channels, head by head, over all pixels. */
function gram(l: Lowering, node: Node, q: Plane, k: Plane, heads: number): void {
  const d = q.channels / heads;
  if (d % 4 !== 0 || q.channels !== k.channels)
    l.fail(node, `attention over ${d} channels a head: only multiples of four`);
  const sums = l.newSmall(node);
  l.operations.push({
    kind: 'rows',
    grid: q,
    reads: [read(q), read(k)],
    sums,
    needs: [],
    bind:
      ([q, k]) =>
      (y) =>
        l.machine.kernels.gram(sums.address, q!.at(y), q!.stride, k!.at(y), k!.stride, heads, d, q!.width),
  });
}

/** A matrix that the image itself decides, over the channels of every pixel. */
function mix(l: Lowering, node: Node, matrix: Small, x: Plane): void {
  const [columns, depth] = matrix.shape.slice(-2) as [number, number];
  if (columns % 4 !== 0 || depth * 4 !== x.stride) l.fail(node);
  const { kernels: k } = l.machine;
  const panels = l.machine.take(columns * depth);
  const out: Plane = { ...x, name: node.outputs[0]!, channels: columns, stride: columns * 4 };
  l.alias(node, { plane: out, as: 'rows', heads: 1 });
  emit(
    l,
    out,
    [read(x)],
    ([a], to) =>
      (y) => {
        k.product(to.at(y), to.stride, a!.at(y), 0, 0, a!.stride, a!.stride, panels, 0, columns, to.width);
      },
    { needs: [matrix], prepare: () => k.pack(panels, matrix.address, columns, depth) },
  );
}
