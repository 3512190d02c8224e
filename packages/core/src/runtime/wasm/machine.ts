import { ElfinError } from '../../base/errors.ts';

/** What kernels/index.ts exports: pointers, sizes and strides are bytes. */
export interface Kernels {
  product(
    out: number,
    outStride: number,
    a0: number,
    a1: number,
    a2: number,
    aStride: number,
    depth: number,
    b: number,
    start: number,
    columns: number,
    pixels: number,
  ): void;
  pack(out: number, from: number, columns: number, depth: number): void;
  gram(
    sums: number,
    q: number,
    qStride: number,
    k: number,
    kStride: number,
    heads: number,
    d: number,
    pixels: number,
  ): void;
  depthwise(
    out: number,
    up: number,
    mid: number,
    low: number,
    taps: number,
    start: number,
    stride: number,
    pixels: number,
  ): void;
  add(out: number, a: number, b: number, size: number): void;
  sub(out: number, a: number, b: number, size: number): void;
  mul(out: number, a: number, b: number, size: number): void;
  addChannels(out: number, a: number, vector: number, stride: number, pixels: number): void;
  mulChannels(out: number, a: number, vector: number, stride: number, pixels: number): void;
  gateAdd(out: number, a: number, vector: number, b: number, stride: number, pixels: number): void;
  mulPixels(out: number, a: number, by: number, byStride: number, stride: number, pixels: number): void;
  relu(out: number, a: number, size: number): void;
  leakyRelu(out: number, a: number, size: number, slope: number): void;
  gelu(out: number, a: number, size: number): void;
  geluMul(out: number, a: number, b: number, size: number): void;
  clip(out: number, a: number, size: number, low: number, high: number): void;
  round(out: number, a: number, size: number): void;
  normalise(out: number, a: number, stride: number, pixels: number, epsilon: number): void;
  sumChannels(sums: number, a: number, stride: number, pixels: number): void;
  sumSquares(sums: number, a: number, stride: number, pixels: number): void;
  copy(out: number, outStride: number, from: number, fromStride: number, floats: number, pixels: number): void;
  resize(
    out: number,
    top: number,
    bottom: number,
    down: number,
    factor: number,
    stride: number,
    width: number,
    pixels: number,
  ): void;
  depthToSpace(
    out: number,
    outStride: number,
    from: number,
    fromStride: number,
    row: number,
    channels: number,
    pixels: number,
  ): void;
}

/** Kernels and the memory that they work in: first what lives as long as the graph, then what a run needs. */
export interface Machine {
  readonly kernels: Kernels;
  /** The memory as floats; growing it makes another view. */
  floats(): Float32Array;
  /** Takes so many floats for good, all zero; gives their address. */
  take(length: number): number;
  /** The same with values, padded with zeros to whole vectors. */
  store(values: ArrayLike<number>): number;
  /** Address of at least `size` bytes behind all that was taken; one run at a time has them. */
  scratch(size: number): number;
}

const PAGE = 65_536;
export const VECTOR = 16;

/** @param maxBytes more memory than this is refused. */
export function createMachine(module: WebAssembly.Module, maxBytes = 4 * 1024 ** 3 - PAGE): Machine {
  const memory = new WebAssembly.Memory({ initial: 1 });
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  let view = new Float32Array(memory.buffer);
  let end = VECTOR;
  const reach = (bytes: number) => {
    const missing = Math.ceil((bytes - memory.buffer.byteLength) / PAGE);
    if (missing <= 0) return;
    if (bytes > maxBytes) throw outOfMemory(bytes);
    try {
      memory.grow(missing);
    } catch (cause) {
      throw outOfMemory(bytes, cause);
    }
    view = new Float32Array(memory.buffer);
  };
  const machine: Machine = {
    kernels: exports as unknown as Kernels,
    floats: () => view,
    take(length) {
      const address = end;
      end += Math.ceil((length * 4) / VECTOR) * VECTOR;
      reach(end);
      view.fill(0, address / 4, end / 4);
      return address;
    },
    store(values) {
      const address = machine.take(values.length);
      view.set(values, address / 4);
      return address;
    },
    scratch(size) {
      reach(end + size);
      return end;
    },
  };
  return machine;
}

function outOfMemory(bytes: number, cause?: unknown): ElfinError {
  const message = `The engine needs ${Math.ceil(bytes / 2 ** 20)} MiB for this tile and does not get them; use smaller tiles.`;
  return new ElfinError('OUT_OF_MEMORY', message, { cause });
}
