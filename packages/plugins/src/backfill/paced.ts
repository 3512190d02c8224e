import { pause } from '../job/retry.ts';
import type { BackfillSink } from './backfill.ts';

/** A sink that is handed at most so many objects a second, fractions included: a store or queue that others use as well. */
export const paced =
  (sink: BackfillSink, perSecond: number): BackfillSink =>
  async (events, { signal, onOutcome }) => {
    const size = Math.max(1, Math.floor(perSecond));
    for (let start = 0; start < events.length && !signal?.aborted; start += size) {
      const begun = Date.now();
      const part = events.slice(start, start + size);
      await sink(part, { signal, onOutcome: (index, outcome) => onOutcome(start + index, outcome) });
      await pause((part.length / perSecond) * 1000 - (Date.now() - begun), signal);
    }
  };
