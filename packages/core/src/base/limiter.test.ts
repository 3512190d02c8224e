import { expect, test } from 'vitest';
import { aborted } from './errors.ts';
import { createLimiter } from './limiter.ts';

test('works run in order, so many at once', async () => {
  const limiter = createLimiter(2);
  const seen: string[] = [];
  let running = 0;
  const work = (name: string) => async () => {
    seen.push(name);
    expect(++running).toBeLessThanOrEqual(2);
    await new Promise((resolve) => setTimeout(resolve, 2));
    running--;
    return name;
  };
  expect(await Promise.all(['a', 'b', 'c', 'd'].map((name) => limiter.run(work(name))))).toEqual(['a', 'b', 'c', 'd']);
  expect(seen).toEqual(['a', 'b', 'c', 'd']);
});

test('who waits may leave, and his work is not begun; who has begun is waited for', async () => {
  const limiter = createLimiter(1);
  const leaving = new AbortController();
  let finish = (_: string) => {};
  const first = limiter.runUnless(
    { signals: [[leaving.signal, aborted]] },
    () => new Promise<string>((resolve) => (finish = resolve)),
  );
  let begun = false;
  const second = limiter.runUnless({ signals: [[leaving.signal, aborted]] }, async () => {
    begun = true;
  });
  await new Promise((resolve) => setTimeout(resolve));
  leaving.abort();
  await expect(second).rejects.toMatchObject({ code: 'ABORTED' });
  finish('done');
  expect(await first).toBe('done');
  expect(await limiter.run(async () => 'next')).toBe('next');
  expect(begun).toBe(false);
});
