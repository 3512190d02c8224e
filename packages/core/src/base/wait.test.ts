import { expect, test } from 'vitest';
import { wait } from './wait.ts';

test('it ends by itself, or by its signal, before or while it waits', async () => {
  await wait(1);
  await wait(0, new AbortController().signal);
  await expect(wait(60_000, AbortSignal.abort())).rejects.toMatchObject({ code: 'ABORTED' });
  const leaving = new AbortController();
  const waiting = wait(60_000, leaving.signal);
  leaving.abort('why');
  await expect(waiting).rejects.toMatchObject({ code: 'ABORTED', cause: 'why' });
});
