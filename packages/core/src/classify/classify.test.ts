import { readFileSync } from 'node:fs';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { isElfinError } from '../base/errors.ts';
import { sha256 } from '../base/sha256.ts';
import type { PixelImage } from '../image/pixels.ts';
import { CLASSIFY_LEAST_SIDE, classify } from './classify.ts';
import { CLASSIFIER_DIGEST } from './digest.ts';
import { measureFeatures } from './features.ts';
import { BIAS, CLASSES, FEATURES, THRESHOLD } from './table.ts';

interface Fixture {
  readonly names: readonly string[];
  readonly cases: readonly {
    readonly width: number;
    readonly height: number;
    readonly seed: number;
    readonly features: readonly number[];
  }[];
}
const fixture: Fixture = JSON.parse(
  readFileSync(new URL('../../../../test/fixtures/classify/features.json', import.meta.url), 'utf8'),
);

/** The picture that training/tests/test_classify.py makes of the same numbers. */
function formula(width: number, height: number, seed: number): PixelImage {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < 3; c++) {
        const waves = Math.floor((x * x * 3 + y * y * 5 + x * y * 7) / (40 + seed));
        const tiles = ((Math.floor(x / (9 + seed)) + Math.floor(y / 11)) % 5) * 23;
        data[(y * width + x) * 3 + c] = (waves + c * 31 * seed + tiles) % 256;
      }
  return { width, height, channels: 3, data };
}

/** The bundled rainy photo, and what becomes of it under a change of its samples. */
async function photo(change: (v: number, channel: number) => number = (v) => v): Promise<PixelImage> {
  const file = new URL('../../../cli/assets/rainy.jpg', import.meta.url);
  const { data, info } = await sharp(readFileSync(file))
    .removeAlpha()
    .resize(512, 512, { fit: 'inside' })
    .raw()
    .toBuffer({ resolveWithObject: true });
  return {
    width: info.width,
    height: info.height,
    channels: 3,
    data: new Uint8Array(data).map((v, i) => change(v, i % 3)),
  };
}

describe('measureFeatures', () => {
  it.each(fixture.cases)(
    'agrees with the Python that trained the table: $width × $height',
    ({ width, height, seed, features }) => {
      expect(fixture.names).toEqual(FEATURES.map(({ name }) => name));
      const values = measureFeatures(formula(width, height, seed));
      expect(values).toHaveLength(features.length);
      values.forEach((value, i) => {
        expect(Math.abs(value - features[i]!), fixture.names[i]).toBeLessThan(1e-6 * (1 + Math.abs(features[i]!)));
      });
    },
  );

  it('measures 16-bit samples and images with alpha alike', () => {
    const image = formula(64, 48, 1);
    const deep = { ...image, data: Uint16Array.from(image.data, (v) => v * 257) };
    const rgba = new Uint8Array(64 * 48 * 4).map((_, i) => (i % 4 === 3 ? 7 : image.data[(i >> 2) * 3 + (i % 4)]!));
    const expected = measureFeatures(image);
    for (const other of [measureFeatures(deep), measureFeatures({ ...image, channels: 4, data: rgba })])
      other.forEach((value, i) => {
        expect(value).toBeCloseTo(expected[i]!, 9);
      });
  });
});

it('has the digest that results are named after', async () => {
  const decides = [CLASSES, BIAS, THRESHOLD, FEATURES, CLASSIFY_LEAST_SIDE, fixture.cases];
  expect(CLASSIFIER_DIGEST).toBe(await sha256(new TextEncoder().encode(JSON.stringify(decides))));
});

describe('classify', () => {
  it('sees the rain on a rainy photo', async () => {
    const said = classify(await photo());
    expect(said.task).toBe('derain');
    expect(said.confidence).toBe(said.scores.derain);
    expect(Object.values(said.scores).reduce((a, b) => a + b)).toBeCloseTo(1, 12);
    expect(said.reasons.length).toBeGreaterThan(0);
  });

  it('sees darkness, and says by what', async () => {
    const said = classify(await photo((v) => Math.round(255 * 0.6 * (v / 255) ** 3.5)));
    expect(said.task).toBe('lowlight');
    expect(said.reasons.join()).toMatch(/luma/);
  });

  it('sees the water’s colour', async () => {
    const water = [0.12, 0.62, 0.66];
    const said = classify(await photo((v, c) => Math.round(255 * (water[c]! * (v / 255) * 0.6 + water[c]! * 0.35))));
    expect(said.task).toBe('underwater');
  });

  it('passes what shows nothing', () => {
    const flat = { width: 64, height: 64, channels: 3, data: new Uint8Array(64 * 64 * 3).fill(140) } as const;
    expect(classify(flat).task).toBe('none');
    const tiny = formula(CLASSIFY_LEAST_SIDE - 1, 200, 1);
    expect(classify(tiny)).toMatchObject({ task: 'none', confidence: 1 });
  });

  it('refuses pixels that are not as many as they claim', () => {
    const torn = { width: 64, height: 64, channels: 3, data: new Uint8Array(9) } as const;
    expect(() => classify(torn)).toThrowError(/needs 12288 samples, not 9/);
    expect(() => classify(torn)).toThrowError(expect.toSatisfy(isElfinError));
  });
});
