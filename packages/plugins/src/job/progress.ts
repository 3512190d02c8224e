/** Knows when some work last moved: work that stands still must not keep others from it. */
export interface Progress {
  /** The work moved: an answer came, a chunk, a tile. */
  touch(): void;
  /** Whether it moved within the last `ms`. */
  movedWithin(ms: number): boolean;
}

export function createProgress(now: () => number): Progress {
  let last = now();
  return {
    touch() {
      last = now();
    },
    movedWithin: (ms) => now() - last < ms,
  };
}
