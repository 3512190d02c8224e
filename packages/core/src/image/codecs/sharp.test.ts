import { expect, it } from 'vitest';
import { codecConformance } from '../../../../../test/conformance/codec.ts';
import { readImage } from '../../../../../test/fixtures/images/read.ts';
import { createSharpCodec } from './sharp.ts';

const codec = createSharpCodec();

codecConformance(
  codec,
  { icc: true, depth: 16, decodes: ['jpeg', 'png', 'webp', 'avif', 'tiff', 'gif', 'heif', 'bmp'] },
  readImage,
);

it('takes 16-bit numbers of a wide profile to sRGB exactly', async () => {
  const { data } = await codec.decode(readImage('p3-16.png'), { icc: 'srgb' });
  // (0.9, 0.1, 0.1) of Display P3 in sRGB after CSS Color 4's matrices: red 0.983, green and blue out of gamut.
  expect(data[0]! / 65535).toBeCloseTo(0.983, 2);
  expect(data[1]! / 65535).toBeCloseTo(0, 2);
});

it('says which sharp and libvips it is', () => {
  expect(codec.name).toBe('sharp');
  expect(codec.version).toMatch(/^\d+\.\d+\.\d+\+vips\.\d+\.\d+\.\d+$/);
});
