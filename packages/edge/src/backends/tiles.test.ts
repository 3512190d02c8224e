import { createRestorer, type PixelImage } from '@elfin/core';
import { loadSharpCodec } from '@elfin/core/node';
import { createRemoteRuntime } from '@elfin/core/remote';
import { afterEach, expect, test } from 'vitest';
import { createAccelerator, namedModel } from '../../../../test/helpers/accelerator.ts';
import { workContext } from '../../../../test/helpers/work-context.ts';
import { serveWorker } from '../worker/node.ts';
import type { Work } from './backend.ts';
import { createFallback } from './fallback.ts';
import { createTileBackend, SPREAD_PIXELS } from './tiles.ts';
import { createWorkerBackend } from './whole-image.ts';

const codec = await loadSharpCodec();
const model = namedModel();
const models = { resolve: async () => model };
const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** Workers on real sockets whose device hands pixels back after `release`, and the two places over the pool of them. */
async function pool(count: number, { held = false } = {}) {
  let release = () => {};
  const free = held ? new Promise<void>((resolve) => (release = resolve)) : Promise.resolve();
  const workers = await Promise.all(
    Array.from({ length: count }, async () => {
      const seen = { tiles: 0 };
      const runtime = createAccelerator(() => {
        seen.tiles++;
        return free;
      });
      const worker = await serveWorker({ models: [model], runtime, port: 0 });
      closing.push(worker.close);
      return { ...worker, seen };
    }),
  );
  const runtime = createRemoteRuntime({ endpoints: workers.map(({ url }) => url) });
  const restorer = createRestorer({ models, codec, runtime });
  closing.push(() => restorer.dispose());
  const { endpoints } = runtime;
  const tiles = createTileBackend({ endpoints, restorer, codec });
  return {
    workers,
    tiles,
    release,
    ladder: createFallback([createWorkerBackend({ endpoints, codec, models }), tiles]),
  };
}

/** A picture of smooth colours, without loss, so that what comes back can be held against it. */
async function work(width: number, height: number): Promise<Work & { readonly image: PixelImage }> {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0, at = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      data[at++] = (255 * x) / width;
      data[at++] = (255 * y) / height;
      data[at++] = 128;
    }
  const image: PixelImage = { width, height, channels: 3, data };
  const bytes = await codec.encode(image, { format: 'png' });
  const options = { restore: 'derain', format: 'png' } as const;
  return { bytes, header: await codec.probe(bytes), options, firstFrame: false, image };
}

const context = () => workContext();

test('a large image is spread over idle workers, and comes back the picture that it was', async () => {
  const { workers, ladder } = await pool(2);
  const large = await work(1000, 600);
  const outcome = await ladder.make(large, context());
  expect(outcome).toMatchObject({
    state: 'made',
    made: { width: 1000, height: 600, restored: { by: 'worker-tiles' } },
  });
  if (outcome.state !== 'made') throw new Error('It was not restored.');
  for (const { seen } of workers) expect(seen.tiles).toBeGreaterThan(0);
  // The device changes nothing, so neither may the windows, the wire and the seams: at most a rounding step.
  const back = await codec.decode(outcome.made.bytes);
  let farthest = 0;
  for (const [at, value] of back.data.entries()) farthest = Math.max(farthest, Math.abs(value - large.image.data[at]!));
  expect(farthest).toBeLessThanOrEqual(1);
});

test('an image of one window, one worker, or a busy one: whole images', async () => {
  const two = await pool(2, { held: true });
  const [small, large] = [await work(700, SPREAD_PIXELS / 1000), await work(1000, SPREAD_PIXELS / 1000)];
  expect(two.tiles.prefers?.(small)).toBe(false);
  expect(two.tiles.prefers?.(large)).toBe(true);
  expect(two.tiles.prefers?.({ ...large, options: { restore: 'none', format: 'png' } })).toBe(false);
  expect((await pool(1)).tiles.prefers?.(large)).toBe(false);
  const making = two.ladder.make(large, context());
  while (two.workers.every(({ seen }) => seen.tiles === 0)) await new Promise(setImmediate);
  expect(two.tiles.prefers?.(large)).toBe(false);
  two.release();
  await making;
});
