import { ElfinError } from '../base/errors.ts';
import type { Samples } from './pixels.ts';

/** What is done to restored pixels before they are written. */
export interface Finish {
  /** How much of the result is mixed into the source, 0…1; 1 by default. */
  readonly strength?: number | undefined;
  /** Changes the result's tones in place, RGB interleaved, each in 0…1. */
  readonly tone?: ((rows: Float32Array) => void) | undefined;
}

/** Whether anything is done at all. */
export function isFinished({ strength = 1, tone }: Finish): boolean {
  return strength === 1 && !tone;
}

/**
 * Restored rows as samples: rounded to levels, tones changed, mixed with the source, rounded again. By way of levels, so that a
 * result comes out the same whether it was kept as a residual in between or not. `rows` is used up.
 * Errors: RUNTIME_FAILED for values that are not numbers.
 */
export function compose(rows: Float32Array, before: Samples, bitDepth: 8 | 16, finish: Finish): Samples {
  const restored = quantise(rows, bitDepth);
  if (isFinished(finish)) return restored;
  const { strength = 1, tone } = finish;
  const most = bitDepth === 16 ? 65535 : 255;
  for (let i = 0; i < rows.length; i++) rows[i] = restored[i]! / most;
  tone?.(rows);
  for (let i = 0; i < rows.length; i++) rows[i] = strength * rows[i]! + (1 - strength) * (before[i]! / most);
  return quantise(rows, bitDepth);
}

/** Samples in 0…1 as whole levels, clamped. Errors: RUNTIME_FAILED for NaN. */
export function quantise(rows: Float32Array, bitDepth: 8 | 16): Samples {
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
