import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Classification, PixelImage, Progress } from '@elfin/core';
import { createRestorer as createPlainRestorer } from '@elfin/core';
import { createNodeRuntime, createRestorer, loadSharpCodec } from '@elfin/core/node';
import * as ort from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { emitElf } from '../../packages/core/src/model/emit.ts';
import { readSafetensors } from '../../packages/core/src/weights/safetensors.ts';
import { seeded, seededModels } from '../helpers/seeded-model.ts';

const models = seededModels();
const runtime = createNodeRuntime();
const restorer = createRestorer({ models, runtime });
const photo = noise(80, 56);
let png: Uint8Array;
let folder: string;

beforeAll(async () => {
  png = await (await loadSharpCodec()).encode(photo, { format: 'png' });
  folder = await mkdtemp(join(tmpdir(), 'elfin-sdk-'));
  await writeFile(join(folder, 'photo.png'), png);
  await restorer.warmup({ task: 'derain' });
});
afterAll(async () => {
  await restorer.dispose();
  await rm(folder, { recursive: true });
});

describe('inputs', () => {
  const kinds: Record<string, () => Parameters<typeof restorer.restore>[0]> = {
    bytes: () => png,
    'a Buffer': () => Buffer.from(png),
    'an ArrayBuffer': () => png.slice().buffer,
    'a Blob': () => new Blob([png as Uint8Array<ArrayBuffer>]),
    'a stream': () => new Blob([png as Uint8Array<ArrayBuffer>]).stream(),
    pixels: () => photo,
    'an ImageData': () => imageData(photo),
    'a path': () => join(folder, 'photo.png'),
    'a file URL': () => pathToFileURL(join(folder, 'photo.png')),
    'a file URL as text': () => pathToFileURL(join(folder, 'photo.png')).href,
  };
  test.each(Object.keys(kinds))('%s', async (kind) => {
    const { image, report } = await restorer.restore(kinds[kind]!(), { task: 'derain' });
    const expected = await network(photo);
    expect([image.width, image.height]).toEqual([80, 56]);
    expect(apart(colour(image), expected)).toBeLessThanOrEqual(1);
    expect(report).toMatchObject({ task: 'derain', tiling: 'whole', tiles: 1, backend: { provider: 'cpu' } });
  });

  test('an http URL', async () => {
    await using server = await serve((_, answer) => answer.end(png));
    const { image } = await restorer.restore(`${server.url}photo.png?x=1`, { task: 'derain' });
    expect(apart(colour(image), await network(photo))).toBeLessThanOrEqual(1);
  });
});

describe('result', () => {
  test('the report names model, digest and times', async () => {
    const { report, header, metadata } = await restorer.restore(png, { task: 'derain' });
    const { name, digest } = await models.resolve('derain', 'lw');
    expect(report).toMatchObject({ model: name, digest, passes: 0, runs: 1, halvings: 0 });
    for (const time of Object.values(report.timings)) expect(time).toBeGreaterThanOrEqual(0);
    expect(header).toMatchObject({ format: 'png', width: 80, height: 56 });
    expect(metadata).toEqual(expect.any(Object));
  });

  test('the full model is another one', async () => {
    const { report } = await restorer.restore(noise(16, 16), { task: 'derain', model: 'full' });
    expect(report).toMatchObject({ digest: (await models.resolve('derain', 'full')).digest });
  });

  test('the degradation is a picture at half resolution', async () => {
    const { degradation } = await restorer.restore(noise(33, 21), { task: 'derain' });
    const found = degradation();
    expect([found.width, found.height, found.channels]).toEqual([17, 11, 3]);
    expect(Math.max(...found.data)).toBeGreaterThan(0);
  });

  test.each([
    ['8 bits', 3, 8],
    ['8 bits with alpha', 4, 8],
    ['16 bits', 3, 16],
    ['16 bits with alpha', 4, 16],
  ] as const)('%s stay so; alpha is put back; at strength 0 every pixel stays', async (_, channels, depth) => {
    const source = noise(40, 24, channels, depth);
    const codec = await loadSharpCodec();
    const encoded = await codec.encode(source, { format: 'png' });
    const { image } = await restorer.restore(encoded, { task: 'derain' });
    expect(image.data.BYTES_PER_ELEMENT * 8).toBe(depth);
    expect(image.channels).toBe(channels);
    expect(image.data).not.toEqual(source.data);
    if (channels === 4)
      expect(image.data.filter((_, i) => i % 4 === 3)).toEqual(source.data.filter((_, i) => i % 4 === 3));
    const same = await restorer.restore(encoded, { task: 'derain', strength: 0 });
    expect(same.image.data).toEqual(source.data);
    const back = await codec.decode(await codec.encode(image, { format: 'tiff' }));
    expect(back.data).toEqual(image.data);
  });

  test('strength mixes result and source', async () => {
    const half = await restorer.restore(photo, { task: 'derain', strength: 0.5 });
    const full = await network(photo);
    const mixed = full.map((value, i) => (value + photo.data[i]!) / 2);
    expect(apart(half.image.data, mixed)).toBeLessThanOrEqual(1);
  });

  test('tiles: by mode and in detail', async () => {
    const wide = noise(208, 144);
    const local = await restorer.restore(wide, { task: 'derain', tiling: { mode: 'local', tile: 128, overlap: 32 } });
    expect(local.report).toMatchObject({ tiling: 'local', overlap: 32, window: { width: 128, height: 128 } });
    const tiling = { mode: 'global', tile: 128, overlap: 64, passes: 2 } as const;
    const global = await restorer.restore(wide, { task: 'derain', tiling });
    expect(global.report).toMatchObject({ tiling: 'global', passes: 2 });
    const whole = await restorer.restore(wide, { task: 'derain', tiling: 'whole' });
    expect(whole.report).toMatchObject({ tiling: 'whole', tiles: 1, window: { width: 208, height: 144 } });
    expect(apart(whole.image.data, await network(wide))).toBeLessThanOrEqual(1);
  });

  test('images down to one pixel', async () => {
    for (const [width, height] of [
      [1, 1],
      [1, 7],
      [17, 1],
    ] as const) {
      const { image } = await restorer.restore(noise(width, height), { task: 'derain' });
      expect([image.width, image.height]).toEqual([width, height]);
    }
  });
});

describe('progress', () => {
  test.each(['whole', 'local', 'global'] as const)('%s: from 0 to 1, never back, with all tiles told', async (mode) => {
    const told: Progress[] = [];
    const tiling = mode === 'whole' ? mode : ({ mode, tile: 64, overlap: 32 } as const);
    const { report } = await restorer.restore(noise(120, 90), {
      task: 'derain',
      tiling,
      onProgress: (progress) => told.push(progress),
    });
    expect(told[0]).toMatchObject({ phase: 'decode', fraction: 0 });
    expect(told.at(-1)).toMatchObject({ phase: 'restore', fraction: 1 });
    for (let i = 1; i < told.length; i++) expect(told[i]!.fraction).toBeGreaterThanOrEqual(told[i - 1]!.fraction);
    expect(told.filter(({ fraction }) => fraction === 1)).toHaveLength(1);
    expect(told.at(-1)!.tile).toBe(told.at(-1)!.tiles);
    expect(report).toMatchObject({ runs: told.at(-1)!.tiles });
  });
});

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

describe('auto', () => {
  test('without a classifier it says what to choose', async () => {
    await expect(restorer.restore(photo, { task: 'auto' })).rejects.toMatchObject({
      code: 'OPTION_INVALID',
      message: expect.stringMatching(/derain, lowlight, underwater/),
    });
  });

  test('the classifier sees a thumbnail and decides; what needs nothing stays as it is', async () => {
    const seen: PixelImage[] = [];
    const answer: Classification = { task: 'lowlight', confidence: 0.9 };
    const answers = [answer, { task: 'none', confidence: 0.8 } as const];
    const classify = (thumbnail: PixelImage) => {
      seen.push(thumbnail);
      return answers.shift()!;
    };
    await using asking = createRestorer({ models, runtime, classify });
    const source = noise(600, 30, 4);
    const dark = await asking.restore(source, { task: 'auto', tiling: 'local' });
    expect(dark.report).toMatchObject({ task: 'lowlight', classification: answer });
    const told: number[] = [];
    const clean = await asking.restore(source, { task: 'auto', onProgress: ({ fraction }) => told.push(fraction) });
    expect(clean.report).toMatchObject({ task: 'none', classification: { confidence: 0.8 } });
    expect(clean.image.data).toEqual(source.data);
    expect(told).toEqual([0, 1]);
    expect(seen.map(({ width, height, channels }) => [width, height, channels])).toEqual([
      [512, 26, 3],
      [512, 26, 3],
    ]);
  });
});

describe('what is wrong is told', () => {
  const wrong: [string, () => Parameters<typeof restorer.restore>, string, RegExp][] = [
    [
      'no such task',
      () => [photo, { task: 'snow' as 'derain' }],
      'OPTION_INVALID',
      /derain, lowlight, underwater or auto/,
    ],
    ['strength', () => [photo, { task: 'derain', strength: 2 }], 'OPTION_INVALID', /between 0 and 1/],
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
    ['too many bytes', () => [png, { task: 'derain', limits: { bytes: 100 } }], 'IMAGE_TOO_MANY_BYTES', /100 bytes/],
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
        const more = () => answer.writable && answer.write(Buffer.alloc(65536), more);
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

function noise(width: number, height: number, channels: 3 | 4 = 3, depth: 8 | 16 = 8, seed = 5): PixelImage {
  const random = seeded(seed);
  const length = width * height * channels;
  const data = depth === 8 ? new Uint8Array(length) : new Uint16Array(length);
  for (let i = 0; i < length; i++) data[i] = random() * 2 ** depth;
  return { width, height, channels, data };
}

function imageData({ width, height, data }: PixelImage): ImageData {
  const rgba = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let i = 0; i < data.length; i++) rgba[Math.floor(i / 3) * 4 + (i % 3)] = data[i]!;
  return { width, height, data: rgba, colorSpace: 'srgb', pixelFormat: 'rgba-unorm8' } as ImageData;
}

function colour({ data, channels }: PixelImage): ArrayLike<number> {
  return channels === 3 ? data : data.filter((_, i) => i % 4 !== 3);
}

/** The picture that the derain network makes of the whole image, in bytes: ONNX Runtime and nothing of ours but the graph. */
async function network({ width, height, data }: PixelImage): Promise<number[]> {
  const [padded, tall] = [Math.ceil(width / 16) * 16, Math.ceil(height / 16) * 16];
  const mirrored = (i: number, n: number) => {
    const period = Math.max(1, 2 * (n - 1));
    return i % period < n ? i % period : period - (i % period);
  };
  const planes = Float32Array.from({ length: 3 * padded * tall }, (_, i) => {
    const [plane, y, x] = [Math.floor(i / (padded * tall)), Math.floor(i / padded) % tall, i % padded];
    return data[(mirrored(y, height) * width + mirrored(x, width)) * 3 + plane]! / 255;
  });
  derain ??= openReference();
  const session = await derain;
  const { restored } = await session.run({ image: new ort.Tensor('float32', planes, [1, 3, tall, padded]) }, [
    'restored',
  ]);
  const out = restored!.data as Float32Array;
  return Array.from({ length: width * height * 3 }, (_, i) => {
    const [y, x] = [Math.floor(i / 3 / width), Math.floor(i / 3) % width];
    return Math.round(Math.min(1, Math.max(0, out[((i % 3) * tall + y) * padded + x]!)) * 255);
  });
}

let derain: Promise<ort.InferenceSession> | undefined;

async function openReference(): Promise<ort.InferenceSession> {
  const model = await models.resolve('derain', 'lw');
  const weights = readSafetensors(await model.bytes()).state;
  return ort.InferenceSession.create(emitElf({ model: 'elf-lw', weights, target: 'reference' }).onnx);
}

function apart(one: ArrayLike<number>, other: ArrayLike<number>): number {
  expect(one.length).toBe(other.length);
  let most = 0;
  for (let i = 0; i < one.length; i++) most = Math.max(most, Math.abs(one[i]! - other[i]!));
  return most;
}

async function serve(handler: Parameters<typeof createServer>[1]): Promise<AsyncDisposable & { readonly url: string }> {
  const server: Server = createServer(handler!);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
