import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createMemoryStore } from '@elfin/storage';
import { expect, it } from 'vitest';
import { inLanes, seeded, shuffle } from '../../../test/helpers/storm.ts';
import { cheapRestorer, upload } from '../../../test/helpers/upload.ts';
import { createTrigger, type UploadEvent } from './index.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const EVENTS = 10_000;
const ROUND = 1000;

it('counts 10,000 events, half of them duplicates or stale, right, and holds on to none of them', async () => {
  const store = createMemoryStore();
  const restorer = cheapRestorer();
  const trigger = createTrigger({ rules: [{ prefix: 'incoming/', task: 'derain' }], storage: () => store, restorer });
  const random = seeded(9);
  const heap: number[] = [];
  let stale = 0;
  for (let round = 0; round < EVENTS / ROUND; round++) {
    const events: UploadEvent[] = [];
    for (let photo = 0; photo < ROUND / 2; photo++) {
      const key = `incoming/${round}/${photo}.jpg`;
      // Of every fifth photo an older version was told of, too.
      if (photo % 5 === 0) events.push(await upload(store, key, `old ${round} ${photo}`));
      events.push(await upload(store, key, `photo ${round} ${photo}`));
    }
    stale += ROUND / 10;
    while (events.length < ROUND) events.push(events[Math.floor(random() * events.length)]!);
    await inLanes(shuffle(events, random), 32, async (event) => {
      const { status } = await trigger.process(event);
      expect(['restored', 'done']).toContain(status);
    });
    const results = store.keys().filter((key) => key.startsWith('restored/'));
    expect(results).toHaveLength(ROUND / 2);
    // The store is in memory as well; what then remains is the trigger's.
    for (const key of store.keys()) if (!key.endsWith('keep.json')) await store.delete(key);
    collect();
    heap.push(process.memoryUsage().heapUsed / 2 ** 20);
  }
  const counts = trigger.counts();
  expect(counts).toMatchObject({ events: EVENTS, restored: EVENTS / 2, done: EVENTS / 2, failed: 0, repeated: 0 });
  expect(restorer.calls()).toBe(EVENTS / 2);
  // A stale event is noticed as such only where it comes before its photo was made.
  expect(counts.stale).toBeGreaterThan(0);
  expect(counts.stale).toBeLessThanOrEqual(stale * 3);
  // 8,000 events after the first rounds have warmed things up: less than 1 KiB each would be 8 MiB.
  expect(heap.at(-1)! - heap[1]!).toBeLessThan(8);
});
