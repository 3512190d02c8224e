import { describe, expect, it } from 'vitest';
import { readReflected, reflect } from './pad.ts';
import { imageSource } from './pixels.ts';

describe('reflect', () => {
  it.each([
    [1, [0, 0, 0, 0, 0, 0, 0, 0]],
    [2, [0, 1, 0, 1, 0, 1, 0, 1]],
    [3, [0, 1, 2, 1, 0, 1, 2, 1]],
    [5, [0, 1, 2, 3, 4, 3, 2, 1, 0, 1, 2, 3]],
  ])('goes on about the last of %i samples without repeating it', (n, expected) => {
    expect(expected.map((_, i) => reflect(i, n))).toEqual(expected);
  });
});

describe('readReflected', () => {
  it('reads over the right and the lower edge', async () => {
    const data = Uint8Array.from({ length: 4 * 3 * 3 }, (_, i) => Math.floor(i / 3));
    const source = imageSource({ width: 4, height: 3, channels: 3, data });
    const read = await readReflected(source, 2, 1, 4, 3);
    // Pixels are numbered 0…11, four to a row.
    expect([...read].filter((_, i) => i % 3 === 0)).toEqual([6, 7, 6, 5, 10, 11, 10, 9, 6, 7, 6, 5]);
  });

  it('touches no more of the source than it needs', async () => {
    const rects: number[][] = [];
    const source = {
      width: 1000,
      height: 1000,
      bitDepth: 8 as const,
      async read(x: number, y: number, width: number, height: number) {
        rects.push([x, y, width, height]);
        return new Uint8Array(width * height * 3);
      },
    };
    await readReflected(source, 10, 20, 30, 40);
    await readReflected(source, 990, 0, 18, 5);
    expect(rects).toEqual([
      [10, 20, 30, 40],
      [990, 0, 10, 5],
    ]);
  });
});
