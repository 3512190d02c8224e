import { ElfinError } from '@elfin/core';
import { expect, test } from 'vitest';
import { createBudget, createLimiter } from './limiter.ts';
import { createRateLimit } from './rate-limit.ts';

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test('a lane queues up to its bound and then refuses', async () => {
  const lane = createLimiter({ concurrency: 1, queue: 2 });
  const running = [1, 2, 3].map((value) => lane.run(() => sleep(20).then(() => value)));
  expect([lane.running, lane.queued]).toEqual([1, 2]);
  expect(() => lane.check()).toThrow(expect.objectContaining({ code: 'OVERLOADED' }));
  await expect(lane.run(async () => 4)).rejects.toMatchObject({ code: 'OVERLOADED', data: { retryAfter: 2 } });
  expect(await Promise.all(running)).toEqual([1, 2, 3]);
  expect([lane.running, lane.queued]).toEqual([0, 0]);
});

test('whoever stops waiting leaves at once with its own reason, and its place to others', async () => {
  const lane = createLimiter({ concurrency: 1, queue: 1 });
  let open = () => {};
  const first = lane.run(() => new Promise<void>((resolve) => (open = resolve)));
  const leaving = new AbortController();
  let ran = false;
  const second = lane.run(async () => (ran = true), { signal: leaving.signal });
  leaving.abort(new ElfinError('DEADLINE_EXCEEDED', 'Late.'));
  await expect(second).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  expect([lane.running, lane.queued]).toEqual([1, 0]);
  const third = lane.run(async () => 3);
  expect(lane.queued).toBe(1);
  open();
  expect([await first, await third, ran]).toEqual([undefined, 3, false]);
  await expect(lane.run(async () => 4, { signal: leaving.signal })).rejects.toMatchObject({
    code: 'DEADLINE_EXCEEDED',
  });
  expect([lane.running, lane.queued]).toEqual([0, 0]);
});

test('work that fails gives its place on, one at a time and in order', async () => {
  const lane = createLimiter({ concurrency: 2, queue: 9 });
  const order: number[] = [];
  const all = Array.from({ length: 8 }, (_, at) =>
    lane.run(async () => {
      expect(lane.running).toBeLessThanOrEqual(2);
      order.push(at);
      await sleep(1);
      if (at % 2 === 0) throw new Error('failed');
    }),
  );
  expect((await Promise.allSettled(all)).map(({ status }) => status === 'rejected')).toEqual(
    all.map((_, at) => at % 2 === 0),
  );
  expect([order, lane.running, lane.queued]).toEqual([[0, 1, 2, 3, 4, 5, 6, 7], 0, 0]);
});

test('a rate limit is a bucket a tenant', () => {
  let now = 0;
  const limit = createRateLimit({ perSecond: 2, burst: 3, tenants: 2, now: () => now });
  expect([1, 2, 3, 4].map(() => limit('a'))).toEqual([undefined, undefined, undefined, 0.5]);
  expect(limit('b')).toBeUndefined();
  now = 500;
  expect([limit('a'), limit('a')]).toEqual([undefined, 0.5]);
});

test('small work goes before large, but overtakes nothing for ever', async () => {
  const lane = createLimiter({ concurrency: 1, queue: 99, maxOvertaken: 3 });
  const order: string[] = [];
  let open = () => {};
  const first = lane.run(() => new Promise<void>((resolve) => (open = resolve)));
  const add = (name: string, cost: number) =>
    lane.run(
      async () => {
        order.push(name);
      },
      { cost },
    );
  const all = [add('large', 12e6), ...Array.from({ length: 6 }, (_, at) => add(`small ${at}`, 17_000))];
  open();
  await Promise.all([first, ...all]);
  expect(order).toEqual(['small 0', 'small 1', 'small 2', 'large', 'small 3', 'small 4', 'small 5']);
});

test('waits are told, and times foretold by what earlier work took', async () => {
  let now = 0;
  const lane = createLimiter({ concurrency: 1, queue: 1, now: () => now });
  expect(lane.eta(100)).toBeUndefined();
  await lane.run(
    async () => {
      now += 5_000;
    },
    { cost: 100 },
  );
  let open = () => {};
  const running = lane.run(() => new Promise<void>((resolve) => (open = resolve)), { cost: 200 });
  const waiting = lane.run(async ({ waited }) => waited, { cost: 400 });
  // 20 units a second: ten seconds for what runs, twenty for what waits behind it.
  expect([lane.eta(200), lane.eta(400)]).toEqual([10, 30]);
  await expect(lane.run(async () => 0)).rejects.toMatchObject({ code: 'OVERLOADED', data: { retryAfter: 30 } });
  now += 4_000;
  expect(lane.eta(400)).toBe(26);
  open();
  await running;
  expect(await waiting).toBe(4_000);
});

test('a budget lets work wait while too much is held', async () => {
  const budget = createBudget(100);
  const one = budget.hold(60);
  await budget.room();
  const two = budget.hold(60);
  let waited = false;
  const third = budget.room().then(() => (waited = true));
  const leaving = new AbortController();
  const fourth = budget.room(leaving.signal);
  leaving.abort(new Error('gone'));
  await expect(fourth).rejects.toThrow('gone');
  await sleep(5);
  expect([waited, budget.held]).toEqual([false, 120]);
  two();
  two();
  await third;
  one();
  expect(budget.held).toBe(0);
});
