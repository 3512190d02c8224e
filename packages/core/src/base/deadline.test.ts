import { describe, expect, it } from 'vitest';
import { interruptible, LONGEST_WAIT, throwIfLate } from './deadline.ts';

const wait = (ms: number) => new Promise<string>((resolve) => setTimeout(() => resolve('done'), ms));
const inDays = (days: number) => Date.now() + days * 24 * 3600 * 1000;

describe('interruptible', () => {
  it.each([
    ['none', undefined],
    ['never', Number.POSITIVE_INFINITY],
    ['in 30 days', inDays(30)],
    ['in 24 days', inDays(24)],
  ])('lets work end whose deadline is %s', async (_, deadline) => {
    expect(await interruptible(wait(30), { signals: [], deadline })).toBe('done');
  });

  it('gives up at the deadline, even one that is over', async () => {
    const code = 'DEADLINE_EXCEEDED';
    for (const deadline of [Date.now() + 20, Date.now() - 1000, Number.NEGATIVE_INFINITY]) {
      await expect(interruptible(wait(1000), { signals: [], deadline })).rejects.toMatchObject({ code });
    }
  });

  it('tells which signal fired, before or meanwhile', async () => {
    const [early, late] = [AbortSignal.abort('early'), AbortSignal.timeout(20)];
    const name = (which: string) => (signal: AbortSignal) => new Error(`${which} ${signal.aborted}`);
    const never = [undefined, name('nobody')] as const;
    await expect(interruptible(wait(1000), { signals: [never, [early, name('early')]] })).rejects.toThrow('early true');
    await expect(interruptible(wait(1000), { signals: [never, [late, name('late')]] })).rejects.toThrow('late true');
  });

  it('leaves no listener behind, and no failure that nobody hears', async () => {
    const { signal } = new AbortController();
    const failing = wait(30).then(() => Promise.reject(new Error('too late')));
    await expect(interruptible(failing, { signals: [], deadline: Date.now() })).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
    });
    const fired = () => expect.unreachable();
    await interruptible(wait(1), { signals: [[signal, fired]], deadline: Date.now() + LONGEST_WAIT });
    await wait(50);
  });
});

it('a deadline is over from its millisecond on', () => {
  expect(() => throwIfLate(Date.now())).toThrow(expect.objectContaining({ code: 'DEADLINE_EXCEEDED' }));
  for (const deadline of [undefined, Date.now() + 1000, Number.POSITIVE_INFINITY]) throwIfLate(deadline);
});
