import { MULTIPLE } from './pad.ts';

/** The strip [start, end) in which two neighbouring windows share the output; `start` = `end` is a plain cut. */
export interface Seam {
  readonly start: number;
  readonly end: number;
}

/**
 * One direction of a plan, in pixels. Windows all have one size and lie inside [0, length); `seams[i]` parts window i
 * from window i + 1, and seams never overlap: at most two windows meet at any pixel.
 */
export interface Axis {
  readonly length: number;
  readonly window: number;
  readonly starts: readonly number[];
  readonly seams: readonly Seam[];
}

/** How one direction is to be cut. */
export interface AxisOptions {
  /** Largest window; a multiple of 16. */
  readonly window: number;
  /** Least number of pixels that neighbours have in common; a multiple of 16 (of 32 for cuts), at most window / 2. */
  readonly overlap: number;
  /** `smooth`: seams as wide as the overlap. `cut`: seams of no width, amid the overlap, on multiples of 16. */
  readonly seam: 'smooth' | 'cut';
  /** Take the smallest window that still needs no more windows. */
  readonly shrink: boolean;
}

/**
 * Covers `length` (a multiple of 16) with as few windows as `overlap` allows, spread evenly, on multiples of 16. Since
 * windows are moved inwards at the ends rather than cut, all have one shape, and those at the ends lose no context.
 */
export function splitAxis(length: number, { window: most, overlap, seam, shrink }: AxisOptions): Axis {
  if (most >= length) return { length, window: length, starts: [0], seams: [] };
  const count = Math.ceil((length - overlap) / (most - overlap));
  const window = shrink ? shortestWindow(length, count, overlap) : most;
  const starts = Array.from(
    { length: count },
    (_, i) => Math.floor((i * (length - window)) / (count - 1) / MULTIPLE) * MULTIPLE,
  );
  const shared = starts.slice(1).map((start, i) => ({ start, end: starts[i]! + window }));
  if (seam === 'cut') {
    const seams = shared.map(({ start, end }) => {
      const cut = start + Math.floor((end - start) / 2 / MULTIPLE) * MULTIPLE;
      return { start: cut, end: cut };
    });
    return { length, window, starts, seams };
  }
  const centres = shared.map(({ start, end }) => (start + end) / 2);
  const apart = centres.slice(1).map((centre, i) => centre - centres[i]!);
  // A quarter of the width must be whole, so that seams also fall on whole pixels of the half-resolution picture.
  const width = Math.floor(Math.min(overlap, ...apart) / 4) * 4;
  return { length, window, starts, seams: centres.map((c) => ({ start: c - width / 2, end: c + width / 2 })) };
}

/** The smallest window, a multiple of 16, of which `count` cover `length` and share `overlap` pixels. */
export function shortestWindow(length: number, count: number, overlap: number): number {
  return Math.ceil((length + (count - 1) * overlap) / count / MULTIPLE) * MULTIPLE;
}

/** The same axis at half resolution. */
export function halveAxis({ length, window, starts, seams }: Axis): Axis {
  return {
    length: length / 2,
    window: window / 2,
    starts: starts.map((start) => start / 2),
    seams: seams.map(({ start, end }) => ({ start: start / 2, end: end / 2 })),
  };
}

/** The pixels [start, end) to which window `index` contributes. */
export function support({ length, seams }: Axis, index: number): Seam {
  return { start: seams[index - 1]?.start ?? 0, end: seams[index]?.end ?? length };
}
