import { ElfinError } from '../base/errors.ts';
import { type Assembler, createAssembler, type Unfinished } from './assemble.ts';
import { halveAxis } from './axis.ts';
import type { PixelSink, PixelSource, Samples } from './pixels.ts';
import type { Plan } from './plan.ts';

export interface OutputOptions {
  readonly source: PixelSource;
  readonly sink: PixelSink;
  readonly plan: Plan;
  /** 1: the network's result. 0: the source. Between: their mixture. */
  readonly strength: number;
  readonly resume?: readonly Unfinished[];
  readonly signal?: AbortSignal;
}

/** Assembles `restored` and writes it at the source's depth, mixed with the source by `strength`. Errors: RUNTIME_FAILED. */
export function createOutput({ source, sink, plan, strength, resume, signal }: OutputOptions): Assembler {
  const { width, height } = source;
  const most = source.bitDepth === 16 ? 65535 : 255;
  return createAssembler({
    columns: plan.columns,
    rows: plan.rows,
    width,
    height,
    ...(resume && { resume }),
    async emit(y, rows) {
      const count = rows.length / width / 3;
      if (strength < 1) {
        const before = await source.read(0, y, width, count, signal);
        for (let i = 0; i < rows.length; i++) rows[i] = strength * rows[i]! + (1 - strength) * (before[i]! / most);
      }
      await sink.write(0, y, width, count, quantise(rows, source.bitDepth));
    },
  });
}

/**
 * Assembles the degradation at half resolution: |d − background|, with d the image at half resolution (2×2 means) and the
 * background as it would be shown, 0…1. It is bright where the network found much to take away (rain) or to add (low
 * light), so its sign is left out.
 */
export function createPriorOutput({ source, sink, plan, resume }: Omit<OutputOptions, 'strength'>): Assembler {
  const width = Math.ceil(source.width / 2);
  return createAssembler({
    columns: halveAxis(plan.columns),
    rows: halveAxis(plan.rows),
    width,
    height: Math.ceil(source.height / 2),
    ...(resume && { resume }),
    emit: (y, rows) => sink.write(0, y, width, rows.length / width / 3, quantise(rows, source.bitDepth)),
  });
}

/** |d − background| of a window: planes [3,h,w] out of the window's `image` [3,2h,2w] and `background` [3,h,w]. */
export function degradation(
  image: Float32Array,
  background: Float32Array,
  width: number,
  height: number,
): Float32Array {
  const out = new Float32Array(3 * width * height);
  for (let i = 0, channel = 0; channel < 3; channel++) {
    for (let y = 0; y < height; y++) {
      let from = (channel * 2 * height + 2 * y) * 2 * width;
      for (let x = 0; x < width; x++, i++, from += 2) {
        const below = from + 2 * width;
        const mean = (image[from]! + image[from + 1]! + image[below]! + image[below + 1]!) / 4;
        out[i] = Math.abs(mean - clamp(background[i]!));
      }
    }
  }
  return out;
}

/** A value as it would be shown; NaN stays NaN. */
function clamp(value: number): number {
  return Math.min(1, Math.max(0, value));
}

function quantise(rows: Float32Array, bitDepth: 8 | 16): Samples {
  const most = bitDepth === 16 ? 65535 : 255;
  const out = bitDepth === 16 ? new Uint16Array(rows.length) : new Uint8Array(rows.length);
  for (let i = 0; i < rows.length; i++) {
    const value = rows[i]! * most + 0.5;
    // Typed arrays would take NaN for 0: a black patch instead of an error.
    if (Number.isNaN(value)) {
      throw new ElfinError(
        'RUNTIME_FAILED',
        'The network gave values that are not numbers; try another device, or the weights in float32.',
      );
    }
    out[i] = Math.min(most, Math.max(0, value));
  }
  return out;
}
