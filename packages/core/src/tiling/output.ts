import { type Assembler, createAssembler, type Unfinished } from './assemble.ts';
import { halveAxis } from './axis.ts';
import { compose, type Finish, isFinished, quantise } from './compose.ts';
import type { PixelSink, PixelSource } from './pixels.ts';
import type { Plan } from './plan.ts';

export interface OutputOptions extends Finish {
  readonly source: PixelSource;
  readonly sink: PixelSink;
  readonly plan: Plan;
  /** Bits that the sink takes, where the result is written as it is; the source's by default. */
  readonly keptDepth?: 8 | 16 | undefined;
  readonly resume?: readonly Unfinished[] | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Assembles `restored` and writes it at the source's depth, mixed with the source by `strength`. Errors: RUNTIME_FAILED. */
export function createOutput({ source, sink, plan, resume, signal, ...finish }: OutputOptions): Assembler {
  const { width, height } = source;
  const { keptDepth = source.bitDepth } = finish;
  return createAssembler({
    columns: plan.columns,
    rows: plan.rows,
    width,
    height,
    ...(resume && { resume }),
    async emit(y, rows) {
      const count = rows.length / width / 3;
      const before = isFinished(finish) ? undefined : await source.read(0, y, width, count, signal);
      const samples = before ? compose(rows, before, source.bitDepth, finish) : quantise(rows, keptDepth);
      await sink.write(0, y, width, count, samples);
    },
  });
}

/**
 * Assembles the degradation at half resolution: |d − background|, with d the image at half resolution (2×2 means) and the
 * background as it would be shown, 0…1. It is bright where the network found much to take away (rain) or to add (low
 * light), so its sign is left out.
 */
export function createPriorOutput({
  source,
  sink,
  plan,
  resume,
}: Omit<OutputOptions, keyof Finish | 'keptDepth'>): Assembler {
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
