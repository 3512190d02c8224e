import { createNodeRuntime, createRestorer } from '@elfin/core/node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { apart, models, network, noise } from '../helpers/pictures.ts';

const runtime = createNodeRuntime();
const restorer = createRestorer({ models, runtime });
const photo = noise(80, 56);

beforeAll(() => restorer.warmup({ task: 'derain' }));
afterAll(() => restorer.dispose());

describe('ending early', () => {
  const tiling = { mode: 'local', tile: 64, overlap: 32 } as const;

  test('an abort between tiles ends the work, and the next image is restored as ever', async () => {
    const controller = new AbortController();
    let tiles = 0;
    const work = restorer.restore(noise(200, 200), {
      task: 'derain',
      tiling,
      signal: controller.signal,
      onProgress({ tile }) {
        tiles = tile;
        if (tile === 2) controller.abort(new Error('seen enough'));
      },
    });
    await expect(work).rejects.toMatchObject({ code: 'ABORTED', cause: { message: 'seen enough' } });
    expect(tiles).toBe(2);
    const { image } = await restorer.restore(photo, { task: 'derain' });
    expect(apart(image.data, await network(photo))).toBeLessThanOrEqual(1);
  });

  test('who waits is let go at once, before the image in front of him is done', async () => {
    const controller = new AbortController();
    const ended: string[] = [];
    const first = restorer.restore(noise(160, 160), { task: 'derain', tiling }).then(() => ended.push('first'));
    const second = restorer
      .restore(photo, { task: 'derain', signal: controller.signal })
      .catch((error) => ended.push(error.code));
    await new Promise((resolve) => setImmediate(resolve));
    controller.abort();
    await Promise.all([first, second]);
    expect(ended).toEqual(['ABORTED', 'first']);
  });

  test('a stream is left as soon as the signal fires', async () => {
    const controller = new AbortController();
    let cancelled = false;
    const endless = new ReadableStream<Uint8Array>(
      {
        pull: () => new Promise(() => controller.abort()),
        cancel: () => {
          cancelled = true;
        },
      },
      { highWaterMark: 0 },
    );
    const work = restorer.restore(endless, { task: 'derain', signal: controller.signal });
    await expect(work).rejects.toMatchObject({ code: 'ABORTED' });
    expect(cancelled).toBe(true);
  });

  test('a deadline', async () => {
    const work = restorer.restore(photo, { task: 'derain', deadline: Date.now() - 1 });
    await expect(work).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  });

  test('dispose ends what is under way and what waits, and nothing starts after it', async () => {
    const other = createRestorer({ models, runtime });
    let begun: (value?: unknown) => void = () => {};
    const begins = new Promise((resolve) => {
      begun = resolve;
    });
    const work = [
      other.restore(noise(200, 200), { task: 'derain', tiling, onProgress: ({ tile }) => tile === 1 && begun() }),
      other.restore(photo, { task: 'derain' }),
    ];
    const outcomes = Promise.allSettled(work);
    await begins;
    await other.dispose();
    for (const outcome of await outcomes) expect(outcome).toMatchObject({ reason: { code: 'DISPOSED' } });
    await expect(other.restore(photo, { task: 'derain' })).rejects.toMatchObject({ code: 'DISPOSED' });
    await other.dispose();
  });

  test('await using', async () => {
    let kept: { restore: typeof restorer.restore } | undefined;
    {
      await using scoped = createRestorer({ models });
      kept = scoped;
      await scoped.restore(noise(16, 16), { task: 'derain' });
    }
    await expect(kept.restore(photo, { task: 'derain' })).rejects.toMatchObject({ code: 'DISPOSED' });
  });
});

describe('many at once', () => {
  test('they are worked off in turn, each with its own result', async () => {
    const order: number[] = [];
    const images = Array.from({ length: 5 }, (_, i) => noise(48 + i, 32, 3, 8, i));
    const results = await Promise.all(
      images.map((image, i) => restorer.restore(image, { task: 'derain', onProgress: () => order.push(i) })),
    );
    expect(order).toEqual(order.toSorted());
    for (const [i, { image }] of results.entries()) {
      expect(image.width).toBe(48 + i);
      expect(apart(image.data, await network(images[i]!))).toBeLessThanOrEqual(1);
    }
  });

  test('several in hand where that is asked for', async () => {
    await using wide = createRestorer({ models, runtime, concurrency: 3 });
    const images = Array.from({ length: 6 }, (_, i) => noise(64, 64, 3, 8, i));
    const results = await Promise.all(images.map((image) => wide.restore(image, { task: 'derain' })));
    for (const [i, { image }] of results.entries())
      expect(apart(image.data, await network(images[i]!))).toBeLessThanOrEqual(1);
  });
});
