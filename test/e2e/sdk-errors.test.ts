import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRestorer as createPlainRestorer } from '@elfin/core';
import { createNodeRuntime, createRestorer, loadSharpCodec } from '@elfin/core/node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { models, noise, serve } from '../helpers/pictures.ts';

const runtime = createNodeRuntime();
const restorer = createRestorer({ models, runtime });
const photo = noise(80, 56);
let png: Uint8Array;
let folder: string;

beforeAll(async () => {
  png = await (await loadSharpCodec()).encode(photo, { format: 'png' });
  folder = await mkdtemp(join(tmpdir(), 'elfin-errors-'));
  await writeFile(join(folder, 'photo.png'), png);
});
afterAll(async () => {
  await restorer.dispose();
  await rm(folder, { recursive: true });
});

describe('what is wrong is told', () => {
  const wrong: [string, () => Parameters<typeof restorer.restore>, string, RegExp][] = [
    [
      'no such task',
      () => [photo, { task: 'snow' as 'derain' }],
      'OPTION_INVALID',
      /derain, lowlight, underwater or auto/,
    ],
    [
      'strength',
      () => [photo, { task: 'derain', strength: 2 }],
      'OPTION_INVALID',
      /strength must be a number from 0 to 1, not 2/,
    ],
    ['tiling', () => [photo, { task: 'derain', tiling: 'tiny' as 'local' }], 'OPTION_INVALID', /local/],
    ['tile', () => [photo, { task: 'derain', tiling: { tile: 100 } }], 'OPTION_INVALID', /multiple of 16/],
    ['no bytes', () => [new Uint8Array(), { task: 'derain' }], 'IMAGE_EMPTY', /./],
    [
      'no image',
      () => [new TextEncoder().encode('hello, world, I am a text'), { task: 'derain' }],
      'IMAGE_UNSUPPORTED',
      /./,
    ],
    ['half an image', () => [png.subarray(0, png.length / 2), { task: 'derain' }], 'IMAGE_TRUNCATED', /./],
    ['too many bytes', () => [png, { task: 'derain', limits: { bytes: 100 } }], 'IMAGE_TOO_MANY_BYTES', /100 allowed/],
    ['too many pixels', () => [png, { task: 'derain', limits: { pixels: 100 } }], 'IMAGE_TOO_MANY_PIXELS', /./],
    ['a number', () => [7 as unknown as Uint8Array, { task: 'derain' }], 'OPTION_INVALID', /Pixels/],
    ['lying pixels', () => [{ ...photo, width: 81 }, { task: 'derain' }], 'IMAGE_CORRUPT', /samples/],
    ['no such file', () => [join(folder, 'none.png'), { task: 'derain' }], 'INPUT_UNREADABLE', /does not exist/],
    ['a folder', () => [folder, { task: 'derain' }], 'INPUT_UNREADABLE', /is a folder/],
    [
      'a large file',
      () => [join(folder, 'photo.png'), { task: 'derain', limits: { bytes: 9 } }],
      'IMAGE_TOO_MANY_BYTES',
      /9/,
    ],
    ['another scheme', () => ['ftp://host/photo.png', { task: 'derain' }], 'OPTION_INVALID', /ftp:/],
  ];
  test.each(wrong)('%s', async (_, call, code, message) => {
    await expect(restorer.restore(...call())).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  test('a stream that brings too much is left', async () => {
    let cancelled = false;
    const stream = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new Uint8Array(1000)),
      cancel: () => {
        cancelled = true;
      },
    });
    const work = restorer.restore(stream, { task: 'derain', limits: { bytes: 5000 } });
    await expect(work).rejects.toMatchObject({ code: 'IMAGE_TOO_MANY_BYTES' });
    expect(cancelled).toBe(true);
  });

  test('a stream that breaks', async () => {
    const stream = new ReadableStream<Uint8Array>({ pull: (controller) => controller.error(new Error('cable cut')) });
    const work = restorer.restore(stream, { task: 'derain' });
    await expect(work).rejects.toMatchObject({ code: 'INPUT_UNREADABLE', message: expect.stringMatching(/cable cut/) });
  });

  test('a model for another task, and one that is not there', async () => {
    const model = await models.resolve('lowlight', 'lw');
    const work = restorer.restore(photo, { task: 'derain', model });
    await expect(work).rejects.toMatchObject({ code: 'OPTION_INVALID', message: expect.stringMatching(/lowlight/) });
  });

  test('encoded bytes where there is no codec', async () => {
    await using plain = createPlainRestorer({ models, runtime });
    await expect(plain.restore(png, { task: 'derain' })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    expect((await plain.restore(photo, { task: 'derain' })).image.width).toBe(80);
  });

  test('servers that refuse, fail, lie, hang up and hang', async () => {
    await using server = await serve((request, answer) => {
      const path = request.url!;
      if (path === '/gone') answer.writeHead(404).end();
      else if (path === '/ill') answer.writeHead(503).end();
      else if (path === '/claims') answer.writeHead(200, { 'content-length': 10 ** 9 }).write('x');
      else if (path === '/floods') {
        answer.writeHead(200);
        // A reader that has left fails each write at once: going on would leave nobody else a turn.
        const more = (failed?: Error | null) => {
          if (!failed && !answer.destroyed) answer.write(Buffer.alloc(65536), more);
        };
        more();
      } else if (path === '/drops') {
        answer.writeHead(200, { 'content-length': 1000 }).write('x');
        setImmediate(() => answer.destroy());
      } else answer.writeHead(200).write('x');
    });
    await using impatient = createRestorer({ models, runtime, timeout: 1000 });
    const expected = [
      ['gone', 'INPUT_UNREADABLE', /404/],
      ['ill', 'NETWORK_FAILED', /503/],
      ['claims', 'IMAGE_TOO_MANY_BYTES', /./],
      ['floods', 'IMAGE_TOO_MANY_BYTES', /./],
      ['drops', 'NETWORK_FAILED', /could not be fetched/],
      ['hangs', 'NETWORK_FAILED', /within 1000 ms/],
    ] as const;
    for (const [path, code, message] of expected) {
      const work = impatient.restore(new URL(server.url + path), { task: 'derain', limits: { bytes: 1_000_000 } });
      await expect(work, path).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    }
    await server[Symbol.asyncDispose]();
    await expect(restorer.restore(server.url, { task: 'derain' })).rejects.toMatchObject({ code: 'NETWORK_FAILED' });
  });
});
