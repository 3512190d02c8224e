import { readFileSync } from 'node:fs';
import type { OutputFormat, PixelImage } from '@elfin/core';
import { createRestorer, loadSharpCodec } from '@elfin/core/node';
import { createModels } from '@elfin/models/node';
import { afterAll, describe, expect, test } from 'vitest';
import { readImage } from '../fixtures/images/read.ts';
import { openJsquash } from '../helpers/jsquash.ts';

const restorer = createRestorer({ models: createModels() });
afterAll(() => restorer.dispose());

const file = (name: string) => new Uint8Array(readFileSync(new URL(`../fixtures/fidelity/${name}`, import.meta.url)));
const codec = await loadSharpCodec();
const isolate = await openJsquash();

/** Everything that is a picture's own: numbers, channels, depth and what they mean. */
async function own(bytes: Uint8Array) {
  const { width, height, channels, data, metadata } = await codec.decode(bytes);
  const { icc, cicp, gamma, chromaticities } = metadata;
  return { width, height, channels, data, icc, cicp, gamma, chromaticities };
}

type Pixels = Pick<PixelImage, 'data'>;
const differences = (a: Pixels, b: Pixels) => Array.from(a.data, (value, i) => Math.abs(value - b.data[i]!));
const worst = (a: Pixels, b: Pixels) => differences(a, b).reduce((most, value) => Math.max(most, value), 0);
const mean = (a: Pixels, b: Pixels) => differences(a, b).reduce((sum, value) => sum + value, 0) / a.data.length;

describe('strength 0 is the source, number for number', () => {
  test.each([
    'p3-sat.png',
    'cicp-p3.png',
    'gray8.png',
    'gray16.png',
    'grey-linear-16.png',
    'lossless.webp',
    'alpha-ll.webp',
    'sprite-black-under.png',
    'const-white.png',
  ])('%s', async (name) => {
    const { bytes, report } = await restorer.restoreEncoded(file(name), { task: 'derain', strength: 0 });
    expect(await own(bytes)).toEqual(await own(file(name)));
    expect(report.warnings).toEqual([]);
  });

  test.each(['p3conv.jpg', 'p3-patches.jpg', 'gray.jpg'])('%s, as it is handed to the encoder', async (name) => {
    const source = await codec.decode(file(name));
    const { bytes } = await restorer.restoreEncoded(file(name), { task: 'lowlight', strength: 0 });
    const expected = await codec.encode(source, { format: 'jpeg', metadata: source.metadata });
    expect(Buffer.compare(bytes, expected)).toBe(0);
    const { image } = await restorer.restore(file(name), { task: 'lowlight', strength: 0 });
    expect(image.data).toEqual(source.data);
  });
});

describe('a restoration', () => {
  test('of Display P3 keeps the profile and the colours beyond sRGB', async () => {
    for (const name of ['p3-sat.png', 'cicp-p3.png']) {
      const source = await own(file(name));
      const { bytes } = await restorer.restoreEncoded(file(name), { task: 'derain' });
      const result = await own(bytes);
      expect([result.icc, result.cicp]).toEqual([source.icc, source.cicp]);
      // The scene has no rain, so that little changes, and nothing is clipped to a narrower space.
      const { bytes: clipped } = await restorer.restoreEncoded(file(name), { task: 'derain', icc: 'srgb' });
      expect((await own(clipped)).icc).toBeUndefined();
      expect(mean(source, result)).toBeLessThan(4);
    }
  });

  test.each(['gray8.png', 'gray16.png', 'gray.jpg', 'grey-linear-16.png'])('of %s has one channel', async (name) => {
    const { bytes } = await restorer.restoreEncoded(file(name), { task: 'lowlight' });
    const [source, result] = [await own(file(name)), await own(bytes)];
    expect([result.channels, result.data.BYTES_PER_ELEMENT]).toEqual([1, source.data.BYTES_PER_ELEMENT]);
    expect(worst(source, result)).toBeGreaterThan(0);
  });

  test('does not depend on what nobody sees', async () => {
    const images = [];
    for (const name of ['sprite-black-under.png', 'sprite-white-under.png']) {
      images.push((await restorer.restore(file(name), { task: 'lowlight' })).image);
    }
    const [black, white] = images as [PixelImage, PixelImage];
    let most = 0;
    for (let i = 0; i < black.data.length; i += 4) {
      if (black.data[i + 3] === 0) continue;
      for (let c = 0; c < 4; c++) most = Math.max(most, Math.abs(black.data[i + c]! - white.data[i + c]!));
    }
    expect(most).toBe(0);
  });

  test.each(['lossless.webp', 'alpha-ll.webp'])('of %s is written without loss', async (name) => {
    const { bytes } = await restorer.restoreEncoded(file(name), { task: 'derain' });
    const { image } = await restorer.restore(file(name), { task: 'derain' });
    expect(worst(await own(bytes), image)).toBe(0);
  });

  test('tells what the result cannot hold', async () => {
    const lossy = async (name: string, format: OutputFormat) => {
      const { report } = await restorer.restoreEncoded(file(name), { task: 'derain', strength: 0, format });
      return report.warnings.map(({ code }) => code);
    };
    expect(await lossy('gray16.png', 'jpeg')).toEqual(['depth-reduced']);
    expect(await lossy('alpha-ll.webp', 'jpeg')).toEqual(['transparency-lost']);
    expect(await lossy('p3-sat.png', 'webp')).toEqual([]);
  });
});

describe('auto that finds nothing', () => {
  const leave = (bytes: Uint8Array, options = {}) => bare.restoreEncoded(bytes, { task: 'auto', ...options });
  const bare = createRestorer({ models: createModels(), classify: () => ({ task: 'none', confidence: 1 }) });
  afterAll(() => bare.dispose());

  test('gives the same bytes, and says so', async () => {
    const { bytes, report } = await leave(file('gray.jpg'), { metadata: 'keep' });
    expect(Buffer.compare(bytes, file('gray.jpg'))).toBe(0);
    expect(report).toMatchObject({ task: 'none', kept: 'source', warnings: [] });
    const other = await leave(file('gray.jpg'), { format: 'png' });
    expect(other.report).toMatchObject({ task: 'none', kept: 'encoded' });
  });

  test.each([
    'metadata.jpg',
    'orientation-6.jpg',
    'orientation-6.png',
    'orientation-6.webp',
    'orientation-6.avif',
    'orientation-6.tiff',
  ])('cuts metadata out of %s without touching pixels', async (name) => {
    const source = readImage(name);
    for (const metadata of ['none', 'copyright'] as const) {
      const { bytes, report } = await leave(source, { metadata });
      expect(report).toMatchObject({ kept: 'source' });
      const [before, after] = [await codec.decode(source), await codec.decode(bytes)];
      expect(after.data).toEqual(before.data);
      const text = Buffer.from(bytes).toString('latin1');
      expect(text).not.toMatch(/GPS|Camera|Secret/);
      if (name === 'metadata.jpg') expect(text.includes('Ada')).toBe(metadata === 'copyright');
    }
  });
});

describe('damage that every viewer forgives', () => {
  test.each(['noeoi.jpg', 'stray-bytes-between-segments.jpg'])('in %s is told, or refused when asked', async (name) => {
    const { report } = await restorer.restoreEncoded(file(name), { task: 'derain' });
    expect(report.warnings).toMatchObject([{ code: 'damage-forgiven' }]);
    const strict = restorer.restore(file(name), { task: 'derain', strict: true });
    await expect(strict).rejects.toMatchObject({ code: 'IMAGE_CORRUPT' });
    const [node, other] = [await codec.decode(file(name)), await isolate.decode(file(name))];
    expect(worst(node, other)).toBeLessThanOrEqual(2);
    expect(other.warnings).toEqual(node.warnings);
  });

  test('is not truncation, for either codec', async () => {
    const whole = file('noeoi.jpg');
    for (const one of [codec, isolate]) {
      for (const length of [whole.length - 40, Math.floor(whole.length * 0.7)]) {
        await expect(one.decode(whole.slice(0, length))).rejects.toMatchObject({ code: 'IMAGE_TRUNCATED' });
      }
    }
  });

  test('nor are ten thousand scans', async () => {
    const bytes = readImage('progressive.jpg');
    const last = Buffer.from(bytes).lastIndexOf(Buffer.from([0xff, 0xda]));
    const scan = bytes.slice(last, -2);
    const many = Buffer.concat([bytes.slice(0, -2), ...Array.from({ length: 10_000 }, () => scan), bytes.slice(-2)]);
    for (const one of [codec, isolate]) {
      await expect(one.decode(many)).rejects.toMatchObject({ code: 'IMAGE_CORRUPT' });
    }
  });
});

describe('what is not decoded is called by its name', () => {
  test.each([
    ['dng.dng', /raw file \(DNG\)/],
    ['nef.nef', /raw file of a camera/],
    ['zstd.tif', /ZSTD/],
  ])('%s', async (name, words) => {
    const refusal = { code: 'IMAGE_UNSUPPORTED', message: expect.stringMatching(words) };
    await expect(restorer.restoreEncoded(file(name), { task: 'derain' })).rejects.toMatchObject(refusal);
    await expect(isolate.probe(file(name))).rejects.toMatchObject(refusal);
  });
});

describe('metadata that are kept', () => {
  test('are kept whole where the directory ends without a link', async () => {
    const { bytes } = await restorer.restoreEncoded(file('exif-no-next-ifd.jpg'), { task: 'derain', metadata: 'keep' });
    const date = /\d{4}:\d\d:\d\d \d\d:\d\d:\d\d/g;
    const dates = (of: Uint8Array) => Buffer.from(of).toString('latin1').match(date);
    expect(dates(bytes)).toEqual(dates(file('exif-no-next-ifd.jpg')));
  });

  test('do not promise a video that is gone', async () => {
    const { bytes, report } = await restorer.restoreEncoded(file('motionphoto.jpg'), {
      task: 'derain',
      metadata: 'keep',
    });
    expect(report.warnings.map(({ code }) => code)).toEqual(['trailer-dropped']);
    expect(Buffer.from(bytes).toString('latin1')).not.toMatch(/MotionPhoto="|hdrgm:|Item:Semantic/);
  });
});
