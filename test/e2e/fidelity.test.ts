import { readFileSync } from 'node:fs';
import type { OutputFormat, PixelImage } from '@elfin/core';
import { createRestorer, loadSharpCodec } from '@elfin/core/node';
import { createModels } from '@elfin/models/node';
import { afterAll, describe, expect, test } from 'vitest';

const restorer = createRestorer({ models: createModels() });
afterAll(() => restorer.dispose());

const file = (name: string) => new Uint8Array(readFileSync(new URL(`../fixtures/fidelity/${name}`, import.meta.url)));
const codec = await loadSharpCodec();

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
