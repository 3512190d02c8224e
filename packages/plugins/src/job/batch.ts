export interface BatchOptions {
  /** Most items at work at once. */
  readonly concurrency: number;
  /** Milliseconds left to this invocation. Absent: as long as it takes. */
  readonly remaining?: (() => number) | undefined;
  /** No item is begun with less than this left. */
  readonly reserveMs: number;
}

/**
 * Works through items, some at once, in order of arrival. Where time runs short the rest is not begun but answered by
 * `skip`, so that every item has an answer.
 */
export async function runBatch<T, R>(
  items: readonly T[],
  work: (item: T) => Promise<R>,
  skip: (item: T) => R,
  { concurrency, remaining, reserveMs }: BatchOptions,
): Promise<R[]> {
  const results: R[] = new Array(items.length);
  let next = 0;
  const lane = async () => {
    for (let index = next++; index < items.length; index = next++) {
      const item = items[index]!;
      results[index] = remaining && remaining() < reserveMs ? skip(item) : await work(item);
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, items.length) }, lane));
  return results;
}
