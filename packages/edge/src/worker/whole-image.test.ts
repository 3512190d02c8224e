import type { PixelImage } from '@elfin/core';
import { loadSharpCodec } from '@elfin/core/node';
import { createRemoteRuntime, MODEL_HEADER, MODELS_HEADER } from '@elfin/core/remote';
import { afterEach, describe, expect, test } from 'vitest';
import { readImage } from '../../../../test/fixtures/images/read.ts';
import { createAccelerator, namedModel } from '../../../../test/helpers/accelerator.ts';
import { workContext } from '../../../../test/helpers/work-context.ts';
import { createWorkerBackend } from '../backends/whole-image.ts';
import type { WorkerOptions } from './app.ts';
import { serveWorker } from './node.ts';
import { createWholeImages, type WholeImageOptions } from './whole-image.ts';

const codec = await loadSharpCodec();
const photo = readImage('rgb.jpg');
const [ours, theirs] = [namedModel('a'.repeat(64)), namedModel('b'.repeat(64))];

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** A worker with one set of weights, which turns pictures into their negatives once `gate` lets it. */
async function start(model = ours, options: Partial<WorkerOptions & WholeImageOptions> = {}, gate = Promise.resolve()) {
  let images = 0;
  const restorer: WholeImageOptions['restorer'] = {
    async restore(image, { task }) {
      images += 1;
      await gate;
      const data = image.data.map((value) => 255 - value);
      const report = { task: 'derain', model: model.name, digest: model.digest, tiling: 'whole', tiles: 1 } as const;
      if (task === 'lowlight') return { image, report: { task: 'none' } };
      return { image: { ...image, data } as PixelImage, report: { ...report, backend: { provider: 'cpu' } } };
    },
  };
  const worker = await serveWorker({
    models: [model],
    runtime: createAccelerator(async () => undefined),
    port: 0,
    restoreImage: createWholeImages({ codec, restorer, models: { resolve: async () => model }, ...options }),
    ...options,
  });
  closing.push(worker.close);
  const send = (o: string, headers: Record<string, string> = {}, body: BodyInit = photo as Uint8Array<ArrayBuffer>) =>
    fetch(`${worker.url}/restore?o=${encodeURIComponent(o)}`, { method: 'POST', body, headers });
  return { url: worker.url, images: () => images, send };
}

const WANTED = 'format=png,restore=derain';

test('an encoded image in, an encoded image out, with status, timings and the weights', async () => {
  const { send } = await start();
  const answer = await send(WANTED, { [MODELS_HEADER]: ours.digest });
  expect([answer.status, answer.headers.get('Content-Type'), answer.headers.get('Restore-Status')]).toEqual([
    200,
    'image/png',
    'restored',
  ]);
  expect(answer.headers.get(MODEL_HEADER)).toBe(ours.digest);
  expect(answer.headers.get('Server-Timing')).toMatch(/decode;dur=\d+, infer;dur=\d+, encode;dur=\d+/);
  const [made, source] = [await codec.decode(new Uint8Array(await answer.arrayBuffer())), await codec.decode(photo)];
  expect(made.data).toEqual(source.data.map((value) => 255 - value));
});

describe('other weights than asked for', () => {
  test('are refused before anything is restored', async () => {
    const { send, images } = await start(theirs);
    const refused = await send(WANTED, { [MODELS_HEADER]: ours.digest });
    expect([refused.status, refused.headers.get('Elfin-Error'), images()]).toEqual([404, 'MODEL_UNKNOWN', 0]);
    expect(await refused.json()).toEqual({ error: expect.stringContaining('bbbbbbbbbbbb') });
    expect((await send(WANTED, { [MODELS_HEADER]: `${ours.digest}, ${theirs.digest}` })).status).toBe(200);
    expect((await send('format=png,restore=auto', { [MODELS_HEADER]: ours.digest })).status).toBe(404);
    // Where nothing is restored no weights matter.
    expect((await send('format=png,restore=none', { [MODELS_HEADER]: ours.digest })).status).toBe(200);
  });

  test('make a client ask elsewhere, and fail where there is nobody else', async () => {
    const [other, right] = [await start(theirs), await start(ours)];
    const place = (...endpoints: string[]) =>
      createWorkerBackend({
        codec,
        models: { resolve: async () => ours },
        endpoints: createRemoteRuntime({ endpoints }).endpoints,
      });
    const header = await codec.probe(photo);
    const work = { bytes: photo, header, options: { restore: 'derain', format: 'png' }, firstFrame: false } as const;
    const context = () => workContext();
    const made = await place(other.url, right.url).make(work, context());
    expect([made.restored?.digest, other.images(), right.images()]).toEqual([ours.digest, 0, 1]);
    await expect(place(other.url).make(work, context())).rejects.toMatchObject({ code: 'MODEL_UNKNOWN' });
  });
});

test('more images than it takes on are refused with 503 and Retry-After, not decoded', async () => {
  let release = () => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const { send, images } = await start(ours, { atOnce: 1, waiting: 1 }, gate);
  const answers = [send(WANTED), send(WANTED), send(WANTED), send(WANTED)];
  const refused = await Promise.any(answers.map(async (one) => ((await one).status === 503 ? one : Promise.reject())));
  expect([refused.headers.get('Elfin-Error'), Number(refused.headers.get('Retry-After'))]).toEqual(['OVERLOADED', 2]);
  release();
  const statuses = (await Promise.all(answers)).map(({ status }) => status);
  expect([statuses.filter((status) => status === 200).length, images()]).toEqual([2, 2]);
});

test('a caller that leaves the queue makes room in it', async () => {
  let release = () => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const restorer: WholeImageOptions['restorer'] = {
    restore: async (image) => gate.then(() => ({ image, report: { task: 'none' } })),
  };
  const restore = createWholeImages({ codec, restorer, models: { resolve: async () => ours }, atOnce: 1, waiting: 1 });
  const call = (signal: AbortSignal) =>
    restore(photo, { restore: 'derain', format: 'png' }, { signal, deadline: undefined, models: undefined });
  const { signal } = new AbortController();
  const first = call(signal);
  const leaving = new AbortController();
  const left = call(leaving.signal);
  await expect(call(signal)).rejects.toMatchObject({ code: 'OVERLOADED' });
  leaving.abort(new Error('gone'));
  await expect(left).rejects.toThrow('gone');
  const third = call(signal);
  release();
  expect([(await first).type, (await third).type]).toEqual(['image/png', 'image/png']);
});

test('what the caller sent wrong is a 4xx with a reason', async () => {
  const { send } = await start();
  const cases: [string, string, BodyInit, number][] = [
    [
      'sides beyond what a codec can hold',
      'format=png,restore=none,width=60000,fit=contain',
      photo as Uint8Array<ArrayBuffer>,
      422,
    ],
    ['options', 'restore=derain', photo as Uint8Array<ArrayBuffer>, 400],
    ['options', 'format=png,restore=derain,colour=blue', photo as Uint8Array<ArrayBuffer>, 400],
    ['bytes that are no image', WANTED, 'garbage', 415],
    ['an image cut off', WANTED, photo.slice(0, photo.length >> 1) as Uint8Array<ArrayBuffer>, 422],
    ['nothing', WANTED, '', 422],
  ];
  for (const [what, o, body, status] of cases) {
    const answer = await send(o, {}, body);
    expect([what, answer.status, await answer.json()]).toEqual([what, status, { error: expect.stringMatching(/./) }]);
  }
});
