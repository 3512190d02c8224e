import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  bitDepth,
  checkPixels,
  checkRect,
  createPixels,
  flattenOnWhite,
  joinAlpha,
  type PixelImage,
  splitAlpha,
  toDepth,
} from './pixels.ts';

const images = fc
  .record({
    width: fc.integer({ min: 1, max: 9 }),
    height: fc.integer({ min: 1, max: 9 }),
    channels: fc.constantFrom(1 as const, 2 as const, 3 as const, 4 as const),
    depth: fc.constantFrom(8 as const, 16 as const),
    seed: fc.integer({ min: 1, max: 65521 }),
  })
  .map(({ seed, depth, ...shape }): PixelImage => {
    const image = createPixels(shape.width, shape.height, shape.channels, depth);
    image.data.forEach((_, i) => {
      image.data[i] = (i + 1) * seed * 7919;
    });
    return image;
  });

describe('checkPixels', () => {
  it('takes an ImageData as RGBA over the same memory', () => {
    const data = new Uint8ClampedArray(2 * 3 * 4);
    const image = checkPixels({ width: 2, height: 3, data, colorSpace: 'srgb' });
    expect(image).toEqual({ width: 2, height: 3, channels: 4, data });
    expect(image.data).toBe(data);
  });

  it.each([
    [undefined, 'OPTION_INVALID'],
    [{ width: 0, height: 1, channels: 3, data: new Uint8Array(0) }, 'OPTION_INVALID'],
    [{ width: 1.5, height: 1, channels: 3, data: new Uint8Array(3) }, 'OPTION_INVALID'],
    [{ width: 1, height: 1, channels: 5, data: new Uint8Array(5) }, 'OPTION_INVALID'],
    [{ width: 1, height: 1, data: new Uint8Array(4) }, 'OPTION_INVALID'],
    [{ width: 1, height: 1, channels: 3, data: new Float32Array(3) }, 'OPTION_INVALID'],
    [{ width: 1, height: 1, channels: 3, data: [0, 0, 0] }, 'OPTION_INVALID'],
    [{ width: 2, height: 2, channels: 3, data: new Uint8Array(11) }, 'IMAGE_CORRUPT'],
  ])('refuses %o with %s in one line', (value, code) => {
    expect(() => checkPixels(value)).toThrow(
      expect.objectContaining({ code, message: expect.not.stringContaining('\n') }),
    );
  });
});

it('changes depth without loss on the way up and back', () => {
  fc.assert(
    fc.property(images, (image) => {
      const back = toDepth(toDepth(toDepth(image, 8), 16), 8);
      expect(back.data).toEqual(toDepth(image, 8).data);
      expect(bitDepth(toDepth(image, 16))).toBe(16);
    }),
  );
  const ends = { width: 1, height: 1, channels: 3, data: Uint16Array.of(0, 128, 65535) } as const;
  expect([...toDepth(ends, 8).data]).toEqual([0, 0, 255]);
});

it('rounds 16 bits to the nearest of 8', () => {
  for (let value = 0; value <= 65535; value++) {
    const { data } = toDepth({ width: 1, height: 1, channels: 3, data: Uint16Array.of(value, 0, 0) }, 8);
    if (data[0] !== Math.round(value / 257)) throw new Error(`${value} became ${data[0]}`);
  }
});

it('takes alpha aside and puts it back', () => {
  fc.assert(
    fc.property(images, (image) => {
      const { colour, alpha } = splitAlpha(image);
      expect(colour.channels).toBe(image.channels < 3 ? 1 : 3);
      expect(alpha !== undefined).toBe(image.channels % 2 === 0);
      expect(joinAlpha(colour, alpha)).toEqual(image);
    }),
  );
  const colour = createPixels(1, 1, 3, 8);
  expect([...joinAlpha(colour, Uint16Array.of(65535)).data]).toEqual([0, 0, 0, 255]);
  expect(() => joinAlpha(colour, new Uint8Array(2))).toThrow(expect.objectContaining({ code: 'IMAGE_CORRUPT' }));
});

it('refuses rectangles that do not lie inside', () => {
  const image = { width: 3, height: 2 };
  checkRect(image, { x: 1, y: 1, width: 2, height: 1 });
  for (const rect of [
    { x: 2, y: 0, width: 2, height: 1 },
    { x: -1, y: 0, width: 1, height: 1 },
    { x: 0, y: 0, width: 0, height: 1 },
    { x: 0, y: 0.5, width: 1, height: 1 },
  ]) {
    expect(() => checkRect(image, rect)).toThrow(expect.objectContaining({ code: 'OPTION_INVALID' }));
  }
});

it('lays transparency over white', () => {
  const image: PixelImage = { width: 3, height: 1, channels: 4, data: new Uint8Array(12) };
  image.data.set([9, 9, 9, 0, 0, 0, 0, 51, 7, 8, 9, 255]);
  expect([...flattenOnWhite(image).data]).toEqual([255, 255, 255, 204, 204, 204, 7, 8, 9]);
});
