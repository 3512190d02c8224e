/**
 * Starts `work` on the items in order, at most `limit` at once, and hands the results to `take` in the same order, so
 * that sums come out the same however many run side by side. No item starts before the one `limit` places ahead of it
 * was taken: what is held is bounded even when one lags. After a failure nothing new starts, the signal given to the
 * work under way fires, and the failure is thrown once that has settled.
 */
export async function pipeline<Item, Result>(
  items: Iterable<Item>,
  limit: number,
  work: (item: Item, signal: AbortSignal) => Promise<Result>,
  take: (item: Item, result: Result) => Promise<void> | void,
): Promise<void> {
  const running: { item: Item; result: Promise<Result> }[] = [];
  const failed = new AbortController();
  const takeFirst = async () => {
    const { item, result } = running[0]!;
    const value = await result;
    running.shift();
    await take(item, value);
  };
  try {
    for (const item of items) {
      if (running.length >= limit) await takeFirst();
      const result = work(item, failed.signal);
      // Its turn to be awaited comes later; until then a failure must not count as unhandled.
      result.catch(() => {});
      running.push({ item, result });
    }
    while (running.length > 0) await takeFirst();
  } catch (error) {
    failed.abort(error);
    await Promise.allSettled(running.map(({ result }) => result));
    throw error;
  }
}
