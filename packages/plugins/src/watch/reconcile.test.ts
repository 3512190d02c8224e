import { ElfinError } from '@elfin/core';
import { createMemoryStore, type ObjectStore } from '@elfin/storage';
import { afterEach, expect, it } from 'vitest';
import { cheapRestorer, upload } from '../../../../test/helpers/upload.ts';
import { createTrigger, type Handled } from '../index.ts';
import { createReconciler } from './reconcile.ts';

let stop = new AbortController();
afterEach(() => {
  stop.abort();
  stop = new AbortController();
});

/** @param fault Of reading a source, by its key. */
async function setUp(keys: readonly string[], fault: (key: string) => ElfinError | undefined) {
  const store = createMemoryStore();
  for (const key of keys) await upload(store, key, key);
  const failing: ObjectStore = {
    ...store,
    async get(key, options) {
      const error = key.startsWith('incoming/') ? fault(key) : undefined;
      if (error) throw error;
      return store.get(key, options);
    },
  };
  const trigger = createTrigger({
    rules: [{ prefix: 'incoming/', task: 'derain' }],
    storage: () => failing,
    restorer: cheapRestorer(),
    retries: { attempts: 1 },
  });
  const told: string[] = [];
  const passes: Readonly<Record<string, number>>[] = [];
  const onHandled = (handled: readonly Handled[]) => {
    for (const { event, outcome } of handled)
      told.push([event?.key, outcome.status, 'error' in outcome && outcome.error.code].filter(Boolean).join(' '));
  };
  const reconciler = createReconciler({
    trigger,
    places: [{ bucket: 'photos', store: failing, prefix: 'incoming/' }],
    concurrency: 1,
    signal: stop.signal,
    onHandled,
    onReconciled: (_, { outcomes }) => passes.push({ ...outcomes }),
  });
  return { store, reconciler, told, passes };
}

it('tells of what fails and comes back to what may pass, without listing again', async () => {
  const failures = [new ElfinError('STORE_FAILED', 'No.'), new ElfinError('STORE_FAILED', 'No.')];
  const denied = new ElfinError('INPUT_UNREADABLE', 'It is denied.');
  const keys = ['incoming/a.jpg', 'incoming/b.jpg', 'incoming/denied.jpg'];
  const { store, reconciler, told, passes } = await setUp(keys, (key) => {
    if (key === 'incoming/denied.jpg') return denied;
    return key === 'incoming/b.jpg' ? failures.pop() : undefined;
  });
  await reconciler.run();
  expect(told).toEqual([
    'incoming/a.jpg restored',
    'incoming/b.jpg failed STORE_FAILED',
    'incoming/denied.jpg failed INPUT_UNREADABLE',
    'incoming/b.jpg failed STORE_FAILED',
    'incoming/b.jpg restored',
  ]);
  expect(passes).toEqual([{ restored: 1, failed: 2 }]);
  expect(store.keys().filter((key) => key.startsWith('restored/'))).toHaveLength(2);
  // What is done is not told again.
  await reconciler.pass();
  expect(told.slice(5)).toEqual(['incoming/denied.jpg failed INPUT_UNREADABLE']);
});

it('comes to what lies behind more than a thousand objects that fail', async () => {
  const denied = new ElfinError('INPUT_UNREADABLE', 'It is denied.');
  const keys = Array.from({ length: 1100 }, (_, index) => `incoming/${String(index).padStart(4, '0')}.jpg`);
  const { reconciler } = await setUp([...keys, 'incoming/last.jpg'], (key) =>
    key === 'incoming/last.jpg' ? undefined : denied,
  );
  expect(await reconciler.pass()).toMatchObject([{ outcomes: { failed: 1100, restored: 1 } }]);
});
