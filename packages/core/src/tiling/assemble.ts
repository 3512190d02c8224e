import { type Axis, support } from './axis.ts';
import { blendWeights } from './blend.ts';
import type { Tile } from './feeds.ts';

/** Rows that a run gave up on had begun to fill: to be blended into those of the run that takes over. */
export interface Unfinished {
  /** First row that was not emitted. */
  readonly from: number;
  /** Weighted sums so far of the rows after it, RGB interleaved; `weights[i]` is what row `from + i` has had of 1. */
  readonly rows: Float32Array;
  readonly weights: Float32Array;
}

/** Puts windows together and gives whole rows away, from the top to the bottom, as soon as nothing more will change them. */
export interface Assembler {
  /**
   * Adds a window's result, planes [3, window height, window width], clamped to 0…1. Windows come in reading order.
   */
  add(tile: Tile, planes: Float32Array): Promise<void>;
  /** What is left when windows of another shape have to take over. */
  unfinished(): readonly Unfinished[];
}

export interface AssemblerOptions {
  readonly columns: Axis;
  readonly rows: Axis;
  /** The picture inside the padding; nothing beyond is emitted. */
  readonly width: number;
  readonly height: number;
  /** What earlier assemblers left, oldest first. */
  readonly resume?: readonly Unfinished[];
  /** Takes `rows.length / width / 3` rows from row `y` on, RGB interleaved, 0…1; the buffer is reused after the call. */
  readonly emit: (y: number, rows: Float32Array) => Promise<void>;
}

/** The first row of windows that is still needed after what earlier assemblers have emitted. */
export function firstRow(rows: Axis, resume: readonly Unfinished[]): number {
  const emitted = resume.at(-1)?.from ?? 0;
  return rows.starts.findIndex((_, row) => support(rows, row).end > emitted);
}

/** Holds one row of windows: as many rows as a window is high, over the picture's width, in float32. */
export function createAssembler(options: AssemblerOptions): Assembler {
  const { columns, rows, width, height, emit, resume = [] } = options;
  const stride = width * 3;
  const spans = rows.starts.map((_, row) => support(rows, row));
  const tallest = spans.reduce((most, { start, end }) => Math.max(most, end - start), 0);
  const band = new Float32Array(Math.min(tallest, height) * stride);
  const across = columns.starts.map((_, column) => blendWeights(columns, column));
  const down = rows.starts.map((_, row) => blendWeights(rows, row));
  let emitted = resume.at(-1)?.from ?? 0;
  let current = firstRow(rows, resume);
  // What the last row of windows had of the seam that it shares with this one. Apart from the band, so that a run that
  // takes over finds it without the windows that were added since.
  let tail: Unfinished = { from: emitted, rows: new Float32Array(0), weights: new Float32Array(0) };

  const accumulate = ({ column, row }: Tile, planes: Float32Array) => {
    const span = spans[row]!;
    const { start, end } = support(columns, column);
    const size = columns.window * rows.window;
    for (let y = span.start; y < Math.min(span.end, height); y++) {
      const vertical = down[row]![y - span.start]!;
      let from = (y - rows.starts[row]!) * columns.window + start - columns.starts[column]!;
      let to = (y - span.start) * stride + start * 3;
      for (let x = start; x < Math.min(end, width); x++, from++) {
        const weight = vertical * across[column]![x - start]!;
        band[to++]! += weight * shown(planes[from]!);
        band[to++]! += weight * shown(planes[from + size]!);
        band[to++]! += weight * shown(planes[from + 2 * size]!);
      }
    }
  };

  const flush = async () => {
    const span = spans[current]!;
    const done = Math.min(spans[current + 1]?.start ?? height, height);
    if (done > emitted) {
      const finished = band.subarray((emitted - span.start) * stride, (done - span.start) * stride);
      const { rows: held } = trim(tail, emitted, stride);
      for (let i = 0; i < held.length; i++) finished[i]! += held[i]!;
      for (const part of [...resume].reverse()) mix(finished, emitted, part, stride);
      await emit(emitted, finished);
      emitted = done;
    }
    const shared = [done - span.start, Math.min(span.end, height) - span.start] as const;
    tail = {
      from: done,
      rows: band.slice(shared[0] * stride, shared[1] * stride),
      weights: down[current]!.slice(...shared),
    };
    band.fill(0);
    current++;
  };

  return {
    async add(tile, planes) {
      accumulate(tile, planes);
      if (tile.column === columns.starts.length - 1) await flush();
    },
    unfinished: () => [...resume, trim(tail, emitted, stride)],
  };
}

/** A value as it would be shown; NaN stays NaN. Windows are blended as pictures, so that those which came as bytes agree. */
function shown(value: number): number {
  return Math.min(1, Math.max(0, value));
}

/** The same, from row `from` on. */
function trim(part: Unfinished, from: number, stride: number): Unfinished {
  const gone = from - part.from;
  return { from, rows: part.rows.subarray(gone * stride), weights: part.weights.subarray(gone) };
}

/** Blends into finished rows (from row `y` on) what an earlier assembler had of them: part + (1 − weight) · row. */
function mix(finished: Float32Array, y: number, part: Unfinished, stride: number): void {
  const count = finished.length / stride;
  for (let i = Math.max(0, y - part.from); i < part.weights.length && part.from + i < y + count; i++) {
    const rest = 1 - part.weights[i]!;
    const to = (part.from + i - y) * stride;
    for (let k = 0; k < stride; k++) finished[to + k] = part.rows[i * stride + k]! + rest * finished[to + k]!;
  }
}
