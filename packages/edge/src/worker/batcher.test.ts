import type { Feeds, Tensor } from '@elfin/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type BatcherOptions, createBatcher } from './batcher.ts';

const tile = (value: number, side = 2): Tensor => ({
  type: 'uint8',
  shape: [1, side, side, 3],
  data: new Uint8Array(side * side * 3).fill(value),
});
const invert = (feeds: Feeds) => {
  const { shape, data } = feeds.image!;
  return { restored: { type: 'uint8', shape, data: Uint8Array.from(data, (value) => 255 - value) } } as const;
};
const defaults = { maxBatch: 4, maxDelayMs: 5, maxQueue: 64, maxBytes: 1 << 20, concurrency: 1 };

function open(options: Partial<BatcherOptions> = {}) {
  const batches: { graph: string; size: number; shape: string }[] = [];
  const batcher = createBatcher({
    ...defaults,
    run: async (graph, feeds) => {
      batches.push({ graph, size: feeds.image!.shape[0]!, shape: feeds.image!.shape.slice(1).join() });
      await new Promise((resolve) => setTimeout(resolve, 10));
      return invert(feeds);
    },
    ...options,
  });
  return { batcher, batches };
}

test('tiles of one shape share a run, and each gets its own pixels back', async () => {
  const { batcher, batches } = open({ maxDelayMs: 60_000 });
  const answers = await Promise.all(
    [1, 2, 3, 4].map((value) => batcher.submit({ graph: 'm', feeds: { image: tile(value) } })),
  );
  expect(batches).toEqual([{ graph: 'm', size: 4, shape: '2,2,3' }]);
  expect(answers.map(({ outputs }) => outputs.restored)).toEqual([1, 2, 3, 4].map((value) => tile(255 - value)));
  expect(answers.every(({ batch }) => batch === 4)).toBe(true);
});

test('whatever arrives, every tile gets its own answer and no run is larger than allowed', async () => {
  const job = fc.record({
    value: fc.nat(255),
    side: fc.integer({ min: 1, max: 3 }),
    graph: fc.constantFrom('a', 'b'),
    priority: fc.integer({ min: 1, max: 3 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(job, { maxLength: 30 }), fc.integer({ min: 1, max: 5 }), async (jobs, maxBatch) => {
      const { batcher, batches } = open({ maxBatch, maxDelayMs: 1, run: async (_, feeds) => invert(feeds) });
      const answers = await Promise.all(
        jobs.map(({ value, side, graph, priority }) =>
          batcher.submit({ graph, priority, feeds: { image: tile(value, side) } }),
        ),
      );
      expect(answers.map(({ outputs }) => outputs.restored)).toEqual(
        jobs.map(({ value, side }) => tile(255 - value, side)),
      );
      expect(batches.every(({ size }) => size <= maxBatch)).toBe(true);
      expect([batcher.waiting, batcher.running]).toEqual([0, 0]);
    }),
    { numRuns: 30 },
  );
});

test('tiles of images with other statistics never share a run', async () => {
  const { batcher, batches } = open();
  const statistics = (value: number): Tensor => ({ type: 'float32', shape: [1, 2], data: Float32Array.of(value, 0) });
  const submit = (value: number) =>
    batcher.submit({ graph: 'm', feeds: { image: tile(0), statistics: statistics(value) } });
  await Promise.all([submit(1), submit(2), submit(1), submit(2), submit(2)]);
  expect(batches.map(({ size }) => size)).toEqual([2, 3]);
});

test('urgent tiles go first', async () => {
  const order: number[] = [];
  const { batcher } = open({
    maxBatch: 1,
    run: async (_, feeds) => {
      order.push(feeds.image!.data[0]!);
      return invert(feeds);
    },
  });
  const submit = (value: number, priority: number) =>
    batcher.submit({ graph: 'm', priority, feeds: { image: tile(value) } });
  await Promise.all([submit(1, 3), submit(2, 2), submit(3, 1)]);
  // The first starts before the others are known.
  expect(order).toEqual([1, 3, 2]);
});

describe('what cannot be done is refused at once', () => {
  const submit = (batcher: ReturnType<typeof open>['batcher'], more: object = {}) =>
    batcher.submit({ graph: 'm', feeds: { image: tile(0) }, ...more });

  test('a full queue', async () => {
    const { batcher } = open({ maxQueue: 2 });
    const accepted = [submit(batcher), submit(batcher)];
    await expect(submit(batcher)).rejects.toMatchObject({
      code: 'REMOTE_BUSY',
      data: { retryAfter: expect.any(Number) },
    });
    await Promise.all(accepted);
  });

  test('a memory budget used up, and free again afterwards', async () => {
    const { batcher } = open({ maxBytes: 20 });
    const accepted = submit(batcher);
    await expect(submit(batcher)).rejects.toMatchObject({ code: 'REMOTE_BUSY' });
    await accepted;
    await submit(batcher);
  });

  test('no hope before the deadline, as the pace so far tells', async () => {
    const { batcher } = open({ maxBatch: 1 });
    await submit(batcher);
    const queued = [submit(batcher), submit(batcher), submit(batcher)];
    await expect(submit(batcher, { deadline: Date.now() + 5 })).rejects.toMatchObject({ code: 'REMOTE_BUSY' });
    await Promise.all(queued);
  });

  test('a deadline that passes in the queue, and a caller that goes away there', async () => {
    const { batcher } = open({ maxBatch: 1 });
    const controller = new AbortController();
    const first = submit(batcher);
    const late = submit(batcher, { deadline: Date.now() + 1 });
    const gone = submit(batcher, { signal: controller.signal });
    controller.abort();
    await expect(gone).rejects.toMatchObject({ code: 'ABORTED' });
    await expect(late).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await first;
    expect(batcher.waiting).toBe(0);
  });
});

test('a run that fails fails its tiles only', async () => {
  const { batcher } = open({
    maxBatch: 1,
    run: async (graph, feeds) => {
      if (graph === 'bad') throw new Error('device lost');
      return invert(feeds);
    },
  });
  const bad = batcher.submit({ graph: 'bad', feeds: { image: tile(0) } });
  const good = batcher.submit({ graph: 'good', feeds: { image: tile(0) } });
  await expect(bad).rejects.toThrow('device lost');
  expect((await good).batch).toBe(1);
});

test('draining finishes what was accepted and takes nothing new', async () => {
  const { batcher } = open({ maxDelayMs: 10_000 });
  const accepted = batcher.submit({ graph: 'm', feeds: { image: tile(1) } });
  const drained = batcher.drain();
  await expect(batcher.submit({ graph: 'm', feeds: { image: tile(1) } })).rejects.toMatchObject({ code: 'DISPOSED' });
  await drained;
  expect((await accepted).outputs.restored).toEqual(tile(254));
});
