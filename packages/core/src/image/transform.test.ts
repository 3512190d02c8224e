import fc from 'fast-check';
import { expect, it } from 'vitest';
import { cropPixels } from '../../../../test/helpers/crop-pixels.ts';
import type { PixelImage } from './pixels.ts';
import { resample } from './resample.ts';
import { orient, orientedSize, storedRect } from './transform.ts';

/** One letter a pixel, in all three channels. */
function picture(rows: string[]): PixelImage {
  const data = Uint8Array.from([...rows.join('')].flatMap((letter) => Array(3).fill(letter.charCodeAt(0))));
  return { width: rows[0]!.length, height: rows.length, channels: 3, data };
}

function letters({ width, height, data }: PixelImage): string[] {
  return Array.from({ length: height }, (_, y) =>
    Array.from({ length: width }, (_, x) => String.fromCharCode(data[(y * width + x) * 3]!)).join(''),
  );
}

// The eight ways to store the upright picture ab/cd/ef (EXIF 2.32, table 6).
const stored: [number, string[]][] = [
  [1, ['ab', 'cd', 'ef']],
  [2, ['ba', 'dc', 'fe']],
  [3, ['fe', 'dc', 'ba']],
  [4, ['ef', 'cd', 'ab']],
  [5, ['ace', 'bdf']],
  [6, ['bdf', 'ace']],
  [7, ['fdb', 'eca']],
  [8, ['eca', 'fdb']],
];

it.each(stored)('turns orientation %i upright', (orientation, rows) => {
  expect(letters(orient(picture(rows), orientation))).toEqual(['ab', 'cd', 'ef']);
});

it('finds any upright rectangle in the stored pixels', () => {
  const cases = fc.record({
    orientation: fc.integer({ min: 1, max: 8 }),
    width: fc.integer({ min: 1, max: 7 }),
    height: fc.integer({ min: 1, max: 7 }),
    cut: fc.tuple(
      fc.double({ min: 0, max: 0.99, noNaN: true }),
      fc.double({ min: 0, max: 0.99, noNaN: true }),
      fc.nat(6),
      fc.nat(6),
    ),
  });
  fc.assert(
    fc.property(cases, ({ orientation, width, height, cut: [u, v, w, h] }) => {
      const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => i);
      const image: PixelImage = { width, height, channels: 3, data };
      const upright = orient(image, orientation);
      expect({ width: upright.width, height: upright.height }).toEqual(orientedSize(width, height, orientation));
      const x = Math.floor(u * upright.width);
      const y = Math.floor(v * upright.height);
      const rect = { x, y, width: Math.min(w + 1, upright.width - x), height: Math.min(h + 1, upright.height - y) };
      const part = orient(cropPixels(image, storedRect(rect, width, height, orientation)), orientation);
      expect(part).toEqual(cropPixels(upright, rect));
    }),
  );
});

it('keeps a flat image flat at 8 and 16 bits, whatever the size', () => {
  const sides = fc.integer({ min: 1, max: 23 });
  fc.assert(
    fc.property(sides, sides, sides, sides, fc.boolean(), (w, h, w2, h2, wide) => {
      const data = wide ? new Uint16Array(w * h * 4).fill(50_000) : new Uint8Array(w * h * 4).fill(200);
      const out = resample({ width: w, height: h, channels: 4, data }, w2, h2);
      expect(out.data.length).toBe(w2 * h2 * 4);
      expect(out.data.every((value) => value === data[0])).toBe(true);
    }),
  );
});

it('keeps hidden colour out', () => {
  const hidden = { width: 2, height: 1, channels: 4, data: Uint8Array.of(255, 0, 0, 0, 0, 0, 255, 255) } as const;
  expect([...resample(hidden, 1, 1).data]).toEqual([0, 0, 255, 128]);
});
