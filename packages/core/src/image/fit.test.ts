import fc from 'fast-check';
import { expect, test } from 'vitest';
import { applyFit, type FitMode, planFit } from './fit.ts';
import type { PixelImage } from './pixels.ts';
import { resample } from './resample.ts';

const photo = { width: 4000, height: 3000 };
const size = (options: { width?: number; height?: number; fit?: FitMode }, image = photo) => {
  const { width, height } = planFit(image, options);
  return `${width}x${height}`;
};

test.each([
  [{}, '4000x3000'],
  [{ width: 1200 }, '1200x900'],
  [{ height: 300 }, '400x300'],
  [{ width: 8000 }, '4000x3000'],
  [{ width: 8000, fit: 'contain' as const }, '8000x6000'],
  [{ width: 1000, height: 1000 }, '1000x750'],
  [{ width: 9000, height: 9000 }, '4000x3000'],
  [{ width: 9000, height: 9000, fit: 'contain' as const }, '9000x6750'],
  [{ width: 1000, height: 1000, fit: 'cover' as const }, '1000x1000'],
  [{ width: 9000, height: 9000, fit: 'cover' as const }, '9000x9000'],
  [{ width: 9000, height: 1000, fit: 'crop' as const }, '4000x1000'],
  [{ width: 1000, height: 1000, fit: 'pad' as const }, '1000x1000'],
])('%j of a 4000 × 3000 photo is %s', (options, expected) => {
  expect(size(options)).toBe(expected);
});

const sides = fc.integer({ min: 1, max: 40 });

test('whatever is asked, the plan keeps its promises and the picture has the planned sides', async () => {
  const modes = fc.constantFrom<FitMode>('scale-down', 'contain', 'cover', 'crop', 'pad');
  await fc.assert(
    fc.asyncProperty(
      sides,
      sides,
      fc.option(sides),
      fc.option(sides),
      modes,
      fc.constantFrom(3, 4),
      async (w, h, width, height, fit, channels) => {
        const image: PixelImage = {
          width: w,
          height: h,
          channels: channels as 3 | 4,
          data: new Uint8Array(w * h * channels).fill(100),
        };
        const options = { width: width ?? undefined, height: height ?? undefined, fit };
        const plan = planFit(image, options);
        if (width !== null && fit !== 'pad')
          expect(plan.width).toBeLessThanOrEqual(Math.max(width, fit === 'contain' || fit === 'cover' ? width : w));
        if (fit === 'scale-down' || fit === 'crop')
          expect([plan.scale.width <= w, plan.scale.height <= h]).toEqual([true, true]);
        if (width !== null && height !== null && (fit === 'cover' || fit === 'pad'))
          expect([plan.width, plan.height]).toEqual([width, height]);
        const out = await applyFit(image, plan, { resize: async (from, to) => resample(from, to.width, to.height) });
        expect([out.width, out.height, out.data.length]).toEqual([
          plan.width,
          plan.height,
          plan.width * plan.height * channels,
        ]);
      },
    ),
  );
});

test('pad is white around an opaque image and nothing around one with alpha; cover cuts evenly', async () => {
  const codec = {
    resize: async (from: PixelImage, to: { width: number; height: number }) => resample(from, to.width, to.height),
  };
  const row = (channels: 3 | 4): PixelImage => ({
    width: 2,
    height: 1,
    channels,
    data: new Uint8Array(2 * channels).fill(9),
  });
  const options = { width: 2, height: 3, fit: 'pad' as const };
  expect([...(await applyFit(row(3), planFit(row(3), options), codec)).data]).toEqual([
    ...Array(6).fill(255),
    ...Array(6).fill(9),
    ...Array(6).fill(255),
  ]);
  expect([...(await applyFit(row(4), planFit(row(4), options), codec)).data]).toEqual([
    ...Array(8).fill(0),
    ...Array(8).fill(9),
    ...Array(8).fill(0),
  ]);
  const strip: PixelImage = {
    width: 4,
    height: 1,
    channels: 3,
    data: Uint8Array.from([1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]),
  };
  expect([...(await applyFit(strip, planFit(strip, { width: 2, height: 1, fit: 'cover' }), codec)).data]).toEqual([
    2, 2, 2, 3, 3, 3,
  ]);
});
