/** Room for work whose memory is known only roughly: each takes its share, waits for it, and gives it back. */
export interface MemoryBudget {
  /**
   * Runs `work` as soon as `bytes` of the budget are free; more than the whole budget waits until it is alone.
   * @throws the signal's reason where it fires first.
   */
  run<T>(bytes: number, work: () => Promise<T>, signal?: AbortSignal): Promise<T>;
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
    async run(bytes, work, signal) {
      const need = Math.min(bytes, total);
      signal?.throwIfAborted();
      await new Promise<void>((go, leave) => {
        const place = { need, go: admitted };
        function admitted() {
          signal?.removeEventListener('abort', give);
          go();
        }
        function give() {
          waiting.splice(waiting.indexOf(place), 1);
          leave(signal?.reason);
          admit();
        }
        signal?.addEventListener('abort', give, { once: true });
        waiting.push(place);
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
