import { ElfinError } from '../base/errors.ts';
import type { Tensor } from '../base/tensor.ts';
import type { Feeds, SessionOptions } from '../runtime/runtime.ts';
import { support } from './axis.ts';
import { readReflected } from './pad.ts';
import type { PixelSource, Samples } from './pixels.ts';
import type { Plan } from './plan.ts';

/** Column and row of a window in its plan. */
export interface Tile {
  readonly column: number;
  readonly row: number;
}

/** The windows in reading order, from row `first` on. */
export function* tilesOf(plan: Plan, first = 0): Generator<Tile> {
  for (let row = first; row < plan.rows.starts.length; row++) {
    for (let column = 0; column < plan.columns.starts.length; column++) yield { column, row };
  }
}

/** RGB interleaved samples to planes in 0…1, written to `out` from sample `offset` on. */
export function toPlanes(samples: Samples, out: Float32Array, offset = 0): void {
  const scale = 1 / (samples instanceof Uint16Array ? 65535 : 255);
  const size = samples.length / 3;
  for (let i = 0, from = 0; i < size; i++) {
    out[offset + i] = samples[from++]! * scale;
    out[offset + size + i] = samples[from++]! * scale;
    out[offset + 2 * size + i] = samples[from++]! * scale;
  }
}

/** How a picture is laid out in tensors: float32 [1,C,H,W] in 0…1, or for images of 8 bits their own bytes, [1,H,W,C]. */
export type Io = SessionOptions['io'];

/** `image`: a window as the network takes it. */
export async function cutImage(
  source: PixelSource,
  plan: Plan,
  tile: Tile,
  io: Io,
  signal?: AbortSignal,
): Promise<Feeds> {
  const { width, height } = plan.window;
  const x = plan.columns.starts[tile.column]!;
  const y = plan.rows.starts[tile.row]!;
  return { image: stack([await readReflected(source, x, y, width, height, signal)], width, height, io) };
}

/**
 * `quadrants`, twelve channels: the window's share of the whole image's quadrants, order top left, top right, bottom left,
 * bottom right. At half-resolution pixel (i, j) quadrant k holds the *full*-resolution pixel
 * (i + (k>>1)·H/2, j + (k&1)·W/2); H and W are the padded image's.
 */
export async function cutQuadrants(
  source: PixelSource,
  plan: Plan,
  tile: Tile,
  io: Io,
  signal?: AbortSignal,
): Promise<Tensor> {
  const width = plan.window.width / 2;
  const height = plan.window.height / 2;
  const x = plan.columns.starts[tile.column]! / 2;
  const y = plan.rows.starts[tile.row]! / 2;
  const parts: Samples[] = [];
  for (let k = 0; k < 4; k++) {
    const left = x + (k & 1) * (plan.padded.width / 2);
    const top = y + (k >> 1) * (plan.padded.height / 2);
    parts.push(await readReflected(source, left, top, width, height, signal));
  }
  return stack(parts, width, height, io);
}

/** Pictures of one size, one after the other in the channels. */
function stack(parts: readonly Samples[], width: number, height: number, io: Io): Tensor {
  const channels = 3 * parts.length;
  if (io === 'float') {
    const data = new Float32Array(channels * width * height);
    for (const [k, samples] of parts.entries()) toPlanes(samples, data, 3 * k * width * height);
    return { type: 'float32', shape: [1, channels, height, width], data };
  }
  const shape = [1, height, width, channels];
  const [only, ...others] = parts;
  if (others.length === 0) return { type: 'uint8', shape, data: only as Uint8Array };
  const data = new Uint8Array(channels * width * height);
  for (const [k, samples] of parts.entries()) {
    for (let to = 3 * k, from = 0; from < samples.length; to += channels) {
      data[to] = samples[from++]!;
      data[to + 1] = samples[from++]!;
      data[to + 2] = samples[from++]!;
    }
  }
  return { type: 'uint8', shape, data };
}

/** `core`, one channel: 1 where this window, and no other, counts; a whole number of 8×8 blocks. */
export function coreMask(plan: Plan, { column, row }: Tile, io: Io): Tensor {
  const width = plan.window.width / 2;
  const height = plan.window.height / 2;
  const across = within(support(plan.columns, column), plan.columns.starts[column]!);
  const down = within(support(plan.rows, row), plan.rows.starts[row]!);
  const data = io === 'float' ? new Float32Array(width * height) : new Uint8Array(width * height);
  for (let y = down.start; y < down.end; y++) data.fill(1, y * width + across.start, y * width + across.end);
  return data instanceof Uint8Array
    ? { type: 'uint8', shape: [1, height, width, 1], data }
    : { type: 'float32', shape: [1, 1, height, width], data };
}

function within(span: { start: number; end: number }, origin: number): { start: number; end: number } {
  return { start: (span.start - origin) / 2, end: (span.end - origin) / 2 };
}

/** A picture in a tensor, of either layout, as planes [3,H,W] in 0…1. Errors: RUNTIME_FAILED for no tensor. */
export function planesOf(tensor: Tensor | undefined): Float32Array {
  if (tensor?.type === 'float32') return tensor.data;
  if (!tensor) throw new ElfinError('RUNTIME_FAILED', 'The runtime answered without a tensor that was asked for.');
  const planes = new Float32Array(tensor.data.length);
  toPlanes(tensor.data, planes);
  return planes;
}
