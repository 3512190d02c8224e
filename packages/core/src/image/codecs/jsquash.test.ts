import { describe, expect, test } from 'vitest';
import { codecConformance } from '../../../../../test/conformance/codec.ts';
import { readImage } from '../../../../../test/fixtures/images/read.ts';
import { openJsquash, wasm } from '../../../../../test/helpers/jsquash.ts';
import type { PixelImage } from '../pixels.ts';
import { createJsquashCodec } from './jsquash.ts';
import { createSharpCodec } from './sharp.ts';

const codec = await openJsquash();
const sharp = createSharpCodec();

/** Mean absolute difference of samples, in 8-bit steps. */
function difference(one: PixelImage, other: PixelImage): number {
  expect([one.width, one.height, one.channels]).toEqual([other.width, other.height, other.channels]);
  const scale = one.data instanceof Uint16Array ? 257 : 1;
  let sum = 0;
  for (let at = 0; at < one.data.length; at++) sum += Math.abs(one.data[at]! - other.data[at]!);
  return sum / one.data.length / scale;
}

codecConformance(
  codec,
  {
    icc: false,
    depth: 16,
    decodes: ['jpeg', 'png', 'webp', 'avif'],
    codes: { 'cmyk.jpg': 'IMAGE_UNSUPPORTED', 'lying-taller.png': 'IMAGE_CORRUPT' },
  },
  readImage,
);

describe('jSquash codec', () => {
  test.each([
    'rgb.jpg',
    'rgb.png',
    'rgb.webp',
    'rgba.png',
    'alpha.webp',
    'grey.png',
    'grey16.png',
    'rgb16.png',
    'palette.png',
    'grey-alpha.png',
    'interlaced.png',
    'progressive.jpg',
    'grey.jpg',
    'lossless.webp',
    'orientation-6.jpg',
    'orientation-3.jpg',
    '1x1.png',
    '1x1.jpg',
  ])('%s decodes as sharp decodes it', async (name) => {
    const bytes = readImage(name);
    const [ours, theirs] = [await codec.decode(bytes), await sharp.decode(bytes)];
    expect(ours.header).toEqual(theirs.header);
    // Two JPEG decoders differ in chroma upsampling and rounding, nothing else does.
    expect(difference(ours, theirs)).toBeLessThan(name.endsWith('.jpg') ? 2 : 0.6);
  });

  test('pixels of 16 bits are their own, whatever is decoded next', async () => {
    const first = await codec.decode(readImage('rgba16.png'));
    const kept = first.data.slice();
    const { data } = await sharp.decode(readImage('p3-16.png'));
    const large = { width: 48, height: 32, channels: 3, data } as const;
    const bytes = await codec.encode(await codec.resize(large, { width: 900, height: 600 }), { format: 'png' });
    for (let i = 0; i < 3; i++) await codec.decode(bytes);
    expect(first.data).toEqual(kept);
  });

  test.each(['jpeg', 'png', 'webp'] as const)('what it writes as %s others read back', async (format) => {
    for (const name of ['rgb.png', 'rgba.png']) {
      const image = await sharp.decode(readImage(name));
      const encoded = await codec.encode(image, { format, quality: 95 });
      const back = await sharp.decode(encoded);
      expect([back.header.format, back.width, back.height]).toEqual([format, image.width, image.height]);
      if (format === 'png') {
        const rgba = await codec.decode(encoded);
        expect([...rgba.data.slice(0, 3)]).toEqual([...image.data.slice(0, 3)]);
      }
    }
  });

  test('16 bits survive PNG', async () => {
    const deep = await codec.decode(readImage('rgb16.png'));
    expect(deep.data).toBeInstanceOf(Uint16Array);
    const back = await sharp.decode(await codec.encode(deep, { format: 'png' }));
    expect(back.data).toBeInstanceOf(Uint16Array);
  });

  test('formats without a module are not offered', async () => {
    const only = createJsquashCodec({ modules: { png: await wasm('png', 'pkg/squoosh_png_bg.wasm') } });
    expect(only.formats).toEqual(['png']);
    await expect(only.decode(readImage('rgb.jpg'))).rejects.toMatchObject({ code: 'IMAGE_UNSUPPORTED' });
  });

  test('a build that cannot be loaded is the runtime’s fault, and is tried again', async () => {
    // An empty module has none of the exports: what a failed download amounts to.
    const empty = new WebAssembly.Module(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));
    const modules: { jpegDecode: WebAssembly.Module } = { jpegDecode: empty };
    const broken = createJsquashCodec({ modules });
    const bytes = readImage('rgb.jpg');
    await expect(broken.decode(bytes)).rejects.toMatchObject({ code: 'RUNTIME_UNAVAILABLE' });
    modules.jpegDecode = await wasm('jpeg', 'dec/mozjpeg_dec.wasm');
    expect((await broken.decode(bytes)).width).toBe(48);
  });

  test('damaged pixels leave the codec usable', async () => {
    await expect(codec.decode(readImage('lying-taller.png'))).rejects.toMatchObject({ code: 'IMAGE_CORRUPT' });
    await expect(codec.decode(readImage('lying-larger.avif'))).rejects.toMatchObject({ code: 'IMAGE_CORRUPT' });
    for (const name of ['rgb.png', 'rgb.avif']) expect((await codec.decode(readImage(name))).width).toBe(48);
  });
});
