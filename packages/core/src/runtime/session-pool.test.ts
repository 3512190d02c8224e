import { expect, it } from 'vitest';
import { namedModel } from '../../../../test/helpers/accelerator.ts';
import { identitySessions } from '../../../../test/helpers/identity-session.ts';
import { createSessionPool } from './session-pool.ts';

const model = namedModel();
const own = { io: 'float', statistics: 'own', quadrants: 'own' } as const;
const given = { io: 'float', statistics: 'given', quadrants: 'given' } as const;

function pool(keep: number) {
  const { open, log } = identitySessions();
  return { log, ...createSessionPool({ open: (_, options) => open(options) }, { keep }) };
}

it('keeps what was given back, up to so many, the one unused for longest closed first', async () => {
  const { acquire, has, log, dispose } = pool(1);
  await (await acquire(model, own)).dispose();
  await (await acquire(model, own)).dispose();
  expect([log.opened.length, log.alive]).toEqual([1, 1]);
  await (await acquire(model, given)).dispose();
  expect([has(model, own), has(model, given), log.alive]).toEqual([false, true, 1]);
  await dispose();
  expect(log.alive).toBe(0);
});

it('closes at once what is not worth keeping, but not under somebody else', async () => {
  const { acquire, has, log } = pool(4);
  const once = await acquire(model, own, { keep: false });
  const other = await acquire(model, own);
  await once.dispose();
  expect([has(model, own), log.alive]).toEqual([true, 1]);
  await other.dispose();
  expect(has(model, own)).toBe(true);
  await (await acquire(model, own, { keep: false })).dispose();
  expect([has(model, own), log.alive]).toEqual([false, 0]);
});
