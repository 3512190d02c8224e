import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import type { PixelImage } from '../image/pixels.ts';
import { psnr, ssim, uciqe, uiqm } from './index.ts';
import { toLab } from './lab.ts';
import { planesOf } from './planes.ts';

const folder = new URL('../../../../test/fixtures/metrics/', import.meta.url);
const expected = JSON.parse(readFileSync(new URL('expected.json', folder), 'utf8'));
const open = async (name: string): Promise<PixelImage> => {
  const { data, info } = await sharp(readFileSync(new URL(`${name}.png`, folder)))
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, channels: 3, data };
};
const photo = await open('photo');
const rain = await open('rain');
const underwater = await open('underwater');
const pictures = { photo, rain, underwater };

test.each([
  ['rain', rain],
  ['underwater', underwater],
])('%s against the photo: scikit-image’s numbers', (name, image) => {
  const { psnrY, psnrRgb, ssimY, ssimRgb } = expected.pairs[name];
  expect(psnr(image, photo)).toBeCloseTo(psnrY, 9);
  expect(psnr(image, photo, 'rgb')).toBeCloseTo(psnrRgb, 9);
  expect(ssim(image, photo)).toBeCloseTo(ssimY, 9);
  expect(ssim(image, photo, 'rgb')).toBeCloseTo(ssimRgb, 9);
});

test('only windows inside the picture count, as in the papers: means over the whole picture differ', () => {
  const { ssimY, ssimYWholeReflected, ssimYWholeReplicated } = expected.pairs.rain;
  expect(Math.abs(ssimYWholeReflected - ssimY)).toBeGreaterThan(0.01);
  expect(Math.abs(ssimYWholeReplicated - ssimY)).toBeGreaterThan(0.01);
  expect(ssim(rain, photo)).toBeCloseTo(ssimY, 9);
});

test('SSIM is the formula, window by window', () => {
  const y = (image: PixelImage) => {
    const planes = planesOf(image, 'y');
    return Array.from({ length: image.height }, (_, i) => {
      const row = new Float64Array(image.width);
      planes.row(0, i, row);
      return row;
    });
  };
  const [a, b] = [y(rain), y(photo)];
  const weight = (i: number, j: number) => Math.exp(-((i - 5) ** 2 + (j - 5) ** 2) / 4.5);
  const at = (top: number, left: number) => {
    const sums = { w: 0, a: 0, b: 0, aa: 0, bb: 0, ab: 0 };
    for (let i = 0; i < 11; i++) {
      for (let j = 0; j < 11; j++) {
        const [w, p, q] = [weight(i, j), a[top + i]![left + j]!, b[top + i]![left + j]!];
        sums.w += w;
        sums.a += w * p;
        sums.b += w * q;
        sums.aa += w * p * p;
        sums.bb += w * q * q;
        sums.ab += w * p * q;
      }
    }
    const [ma, mb] = [sums.a / sums.w, sums.b / sums.w];
    const [va, vb, vab] = [sums.aa / sums.w - ma ** 2, sums.bb / sums.w - mb ** 2, sums.ab / sums.w - ma * mb];
    return ((2 * ma * mb + 6.5025) * (2 * vab + 58.5225)) / ((ma ** 2 + mb ** 2 + 6.5025) * (va + vb + 58.5225));
  };
  let sum = 0;
  for (let top = 0; top <= photo.height - 11; top++)
    for (let left = 0; left <= photo.width - 11; left++) sum += at(top, left);
  expect(ssim(rain, photo)).toBeCloseTo(sum / ((photo.height - 10) * (photo.width - 10)), 10);
});

test.each(Object.entries(pictures))('%s: luma is MATLAB’s, to the byte', (name, image) => {
  const planes = planesOf(image, 'y');
  const row = new Float64Array(image.width);
  let sum = 0;
  for (let y = 0; y < image.height; y++) {
    planes.row(0, y, row);
    for (const value of row) sum += value;
  }
  expect(sum).toBe(expected.single[name].luma);
});

test('luma runs from 16 to 235', () => {
  const of = (...rgb: number[]) => {
    const row = new Float64Array(1);
    planesOf({ width: 1, height: 1, channels: 3, data: Uint8Array.from(rgb) }, 'y').row(0, 0, row);
    return row[0];
  };
  // MATLAB: rgb2ycbcr(uint8(cat(3, r, g, b)))
  expect([of(0, 0, 0), of(255, 255, 255), of(255, 0, 0), of(0, 255, 0), of(0, 0, 255), of(100, 150, 200)]).toEqual([
    16, 235, 81, 145, 41, 137,
  ]);
});

test.each(Object.entries(pictures))('%s: UIQM is FUnIE-GAN’s', (name, image) => {
  const found = uiqm(image);
  const { uicm, uism, uiconm, uiqm: rounded } = expected.single[name];
  expect(found.uicm).toBeCloseTo(uicm, 9);
  expect(found.uism).toBeCloseTo(uism, 9);
  expect(found.uiconm).toBeCloseTo(uiconm, 9);
  // Its entry point adds ten thousand numbers in float32.
  expect(found.uiqm).toBeCloseTo(rounded, 3);
});

test.each(Object.entries(pictures))('%s: UCIQE is its authors’', (name, image) => {
  expect(uciqe(image).uciqe).toBeCloseTo(expected.single[name].uciqe, 5);
});

test.each(Object.entries(pictures))('%s: L*a*b* is OpenCV’s', (name, { data }) => {
  const sums = [0, 0, 0];
  const out = new Uint8Array(3);
  for (let i = 0; i < data.length; i += 3) {
    toLab(data[i]!, data[i + 1]!, data[i + 2]!, out);
    for (const [j, value] of out.entries()) sums[j]! += value;
  }
  // One value in 30,000 is off by one.
  for (const [j, sum] of sums.entries()) expect(Math.abs(sum - expected.single[name].lab[j])).toBeLessThanOrEqual(2);
});

const grey = (width: number, height: number, value: number): PixelImage => ({
  width,
  height,
  channels: 3,
  data: new Uint8Array(width * height * 3).fill(value),
});

test('equal pictures', () => {
  expect(psnr(photo, photo)).toBe(Infinity);
  expect(ssim(photo, photo, 'rgb')).toBeCloseTo(1, 12);
});

test('a constant error has the PSNR of the definition', () => {
  expect(psnr(grey(5, 3, 100), grey(5, 3, 110), 'rgb')).toBeCloseTo(20 * Math.log10(25.5), 12);
});

test('flat pictures have finite numbers', () => {
  expect(uiqm(grey(20, 20, 0))).toEqual({ uiqm: 0, uicm: 0, uism: 0, uiconm: 0 });
  expect(Object.values(uciqe(grey(1, 1, 128))).every(Number.isFinite)).toBe(true);
  expect(ssim(grey(11, 11, 0), grey(11, 11, 0))).toBe(1);
});

test('alpha and sixteen bits change nothing', () => {
  // Each byte's sixteen-bit neighbours still round to it.
  const near = (value: number) => value * 257 + (value === 0 ? 100 : value === 255 ? -100 : value % 2 ? 128 : -128);
  const deep: PixelImage = { ...photo, data: Uint16Array.from(photo.data, near) };
  const alpha: PixelImage = {
    ...photo,
    channels: 4,
    data: Uint8Array.from({ length: photo.width * photo.height * 4 }, (_, i) =>
      i % 4 === 3 ? i % 256 : photo.data[(i >> 2) * 3 + (i % 4)]!,
    ),
  };
  for (const image of [deep, alpha]) {
    expect(psnr(image, photo, 'rgb')).toBe(Infinity);
    expect(ssim(rain, image)).toBe(ssim(rain, photo));
    expect(uiqm(image)).toEqual(uiqm(photo));
    expect(uciqe(image)).toEqual(uciqe(photo));
  }
});

test('pictures that cannot be measured are refused', () => {
  const refusal = (message: RegExp) =>
    expect.objectContaining({ code: 'OPTION_INVALID', message: expect.stringMatching(message) });
  expect(() => psnr(grey(2, 3, 0), grey(3, 2, 0))).toThrow(refusal(/2×3 and 3×2/));
  expect(() => ssim(grey(10, 40, 0), grey(10, 40, 0))).toThrow(refusal(/at least 11×11.*10×40/));
  expect(() => uiqm(grey(9, 9, 0))).toThrow(refusal(/at least 10×10/));
});

test('measures are symmetric, bounded and best for equal pictures', () => {
  const picture = fc
    .uint8Array({ minLength: 13 * 12 * 3, maxLength: 13 * 12 * 3 })
    .map((data): PixelImage => ({ width: 13, height: 12, channels: 3, data }));
  fc.assert(
    fc.property(picture, picture, fc.constantFrom('y' as const, 'rgb' as const), (a, b, space) => {
      expect(psnr(a, b, space)).toBe(psnr(b, a, space));
      expect(ssim(a, b, space)).toBeCloseTo(ssim(b, a, space), 12);
      expect(Math.abs(ssim(a, b, space))).toBeLessThanOrEqual(1 + 1e-12);
      expect(psnr(a, b, space)).toBeGreaterThanOrEqual(0);
      expect(uciqe(a).contrast).toBeLessThanOrEqual(1);
    }),
  );
});
