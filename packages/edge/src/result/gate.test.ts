import { ElfinError } from '@elfin/core';
import { expect, test } from 'vitest';
import { createGate, createRateLimit } from './gate.ts';

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test('a gate queues up to its bound and then refuses', async () => {
  const gate = createGate({ concurrency: 1, queue: 2 });
  const running = [1, 2, 3].map((value) => gate.run(() => sleep(20).then(() => value)));
  expect([gate.running, gate.queued]).toEqual([1, 2]);
  expect(() => gate.check()).toThrow(expect.objectContaining({ code: 'OVERLOADED' }));
  await expect(gate.run(async () => 4)).rejects.toMatchObject({ code: 'OVERLOADED', data: { retryAfter: 2 } });
  expect(await Promise.all(running)).toEqual([1, 2, 3]);
  expect([gate.running, gate.queued]).toEqual([0, 0]);
});

test('whoever stops waiting leaves at once with its own reason, and its place to others', async () => {
  const gate = createGate({ concurrency: 1, queue: 1 });
  let open = () => {};
  const first = gate.run(() => new Promise<void>((resolve) => (open = resolve)));
  const leaving = new AbortController();
  let ran = false;
  const second = gate.run(async () => (ran = true), leaving.signal);
  leaving.abort(new ElfinError('DEADLINE_EXCEEDED', 'Late.'));
  await expect(second).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  expect([gate.running, gate.queued]).toEqual([1, 0]);
  const third = gate.run(async () => 3);
  expect(gate.queued).toBe(1);
  open();
  expect([await first, await third, ran]).toEqual([undefined, 3, false]);
  await expect(gate.run(async () => 4, leaving.signal)).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  expect([gate.running, gate.queued]).toEqual([0, 0]);
});

test('work that fails gives its place on, one at a time and in order', async () => {
  const gate = createGate({ concurrency: 2, queue: 9 });
  const order: number[] = [];
  const all = Array.from({ length: 8 }, (_, at) =>
    gate.run(async () => {
      expect(gate.running).toBeLessThanOrEqual(2);
      order.push(at);
      await sleep(1);
      if (at % 2 === 0) throw new Error('failed');
    }),
  );
  expect((await Promise.allSettled(all)).map(({ status }) => status === 'rejected')).toEqual(
    all.map((_, at) => at % 2 === 0),
  );
  expect([order, gate.running, gate.queued]).toEqual([[0, 1, 2, 3, 4, 5, 6, 7], 0, 0]);
});

test('a rate limit is a bucket a tenant', () => {
  let now = 0;
  const limit = createRateLimit({ perSecond: 2, burst: 3, tenants: 2, now: () => now });
  expect([1, 2, 3, 4].map(() => limit('a'))).toEqual([undefined, undefined, undefined, 0.5]);
  expect(limit('b')).toBeUndefined();
  now = 500;
  expect([limit('a'), limit('a')]).toEqual([undefined, 0.5]);
});
