/** Room for work whose memory is known only roughly: each takes its share, waits for it, and gives it back. */
export interface MemoryBudget {
  /** Runs `work` as soon as `bytes` of the budget are free; more than the whole budget waits until it is alone. */
  run<T>(bytes: number, work: () => Promise<T>): Promise<T>;
}

/** First come, first served: a large image is not overtaken for ever by small ones. */
export function createMemoryBudget(total: number): MemoryBudget {
  let free = total;
  const waiting: { need: number; go: () => void }[] = [];
  const admit = () => {
    while (waiting[0] !== undefined && waiting[0].need <= free) {
      const next = waiting.shift()!;
      free -= next.need;
      next.go();
    }
  };
  return {
    async run(bytes, work) {
      const need = Math.min(bytes, total);
      await new Promise<void>((go) => {
        waiting.push({ need, go });
        admit();
      });
      try {
        return await work();
      } finally {
        free += need;
        admit();
      }
    },
  };
}

/**
 * What restoring an image of so many encoded bytes takes, roughly: photographs are about a byte a pixel at the least
 * compressed, and decoded, windowed and encoded again they are held a dozen times that; 32 MiB go to one window.
 */
export const estimateMemory = (bytes: number) => 32 * 1024 * 1024 + 12 * bytes;
