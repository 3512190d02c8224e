/** Knows how long restorations take here, and whether one more fits into the time that is left. */
export interface Pace {
  /** Milliseconds that work of so many megapixels is expected to take, behind all that is under way. */
  expectedMs(megapixels: number): number;
  /** Counts `work` as under way, and learns from how long it took. */
  run<T>(megapixels: number, work: () => Promise<T>): Promise<T>;
}

/** What is new counts as much as all before: a machine that slows down is believed at once. */
const WEIGHT = 0.5;

/** @param guess Milliseconds a megapixel, until one has been measured. */
export function createPace(guess: number, now: () => number = Date.now): Pace {
  let perMegapixel = guess;
  let underWay = 0;
  let lastEnd = 0;
  return {
    expectedMs: (megapixels) => (underWay + megapixels) * perMegapixel,
    async run(megapixels, work) {
      const begun = now();
      underWay += megapixels;
      try {
        const result = await work();
        // Restorations take turns: what went before the last end was another one's time.
        const took = now() - Math.max(begun, lastEnd);
        perMegapixel = perMegapixel * (1 - WEIGHT) + (took / megapixels) * WEIGHT;
        return result;
      } finally {
        lastEnd = now();
        underWay -= megapixels;
      }
    },
  };
}
