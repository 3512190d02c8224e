import { createMemoryStore } from '@elfin/storage';
import sharp from 'sharp';
import { expect, it } from 'vitest';
import type { UploadEvent } from '../events/event.ts';
import { type BackfillOutcome, paced, parseRules, surveyBackfill } from '../index.ts';

it('tells objects, bytes and megapixels of what would be done, and sends nothing', async () => {
  const store = createMemoryStore();
  const create = { width: 400, height: 250, channels: 3, background: '#456' } as const;
  const photo = await sharp({ create }).jpeg().toBuffer();
  for (let i = 0; i < 30; i++) await store.put(`incoming/${i}.jpg`, photo);
  await store.put('incoming/notes.txt', photo);
  const rules = parseRules([{ prefix: 'incoming/', task: 'derain' }]);
  const survey = await surveyBackfill({ bucket: 'photos', store, prefix: 'incoming/', rules });
  expect(survey).toMatchObject({ objects: 30, bytes: 30 * photo.length, sampled: 10 });
  expect(survey.megapixels).toBeCloseTo(3, 5);
  expect(store.keys()).toHaveLength(31);
});

it('hands on at most so many a second, each under its own index', async () => {
  const handed: number[] = [];
  const outcomes: [number, string][] = [];
  const done: BackfillOutcome = { status: 'enqueued' };
  const begun = Date.now();
  const events = Array.from({ length: 5 }, (_, index) => ({ key: `${index}` }) as UploadEvent);
  await paced(async (part, { onOutcome }) => {
    handed.push(part.length);
    for (const index of part.keys()) onOutcome(index, done);
  }, 10)(events, { signal: undefined, onOutcome: (index, { status }) => outcomes.push([index, status]) });
  expect(handed).toEqual([5]);
  expect(outcomes.map(([index]) => index)).toEqual([0, 1, 2, 3, 4]);
  expect(Date.now() - begun).toBeGreaterThanOrEqual(450);
});
