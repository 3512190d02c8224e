import { describe, expect, it } from 'vitest';
import { readImage } from '../../../../../test/fixtures/images/read.ts';
import type { Metadata, OutputFormat } from '../codec.ts';
import { createSharpCodec } from '../codecs/sharp.ts';
import { metadataBy } from '../formats/format.ts';
import { formatOf, probeImage } from '../probe.ts';
import { embedMetadata } from './embed.ts';
import { readExifRights, writeExifRights } from './exif.ts';

const readMetadata = (bytes: Uint8Array) => metadataBy(formatOf(bytes), bytes);
const icc = readMetadata(readImage('adobe-rgb.jpg')).icc!;
const full: Metadata = {
  exif: writeExifRights({ creator: 'Ada', notice: '© Ada' })!,
  xmp: new TextEncoder().encode('<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'),
  iptc: Uint8Array.of(0x1c, 2, 116, 0, 3, 65, 100, 97),
  icc,
  density: 300,
};

const sources: [OutputFormat, string][] = [
  ['jpeg', 'rgb.jpg'],
  ['png', 'rgba.png'],
  ['webp', 'alpha.webp'],
  ['webp', 'rgb.webp'],
  ['webp', 'lossless.webp'],
  ['avif', 'rgb.avif'],
  ['avif', 'alpha.avif'],
  ['tiff', 'rgba.tiff'],
];

describe.each(sources)('into %s (%s)', (format, file) => {
  const bytes = readImage(file);

  it('everything comes back, and the pixels stay', async () => {
    const written = embedMetadata(bytes, format, full);
    expect(formatOf(written).complete(written)).toBe(true);
    expect(probeImage(written)).toEqual(probeImage(bytes));
    const found = readMetadata(written);
    expect(found.icc).toEqual(icc);
    expect(found.xmp).toEqual(full.xmp);
    expect(readExifRights(found.exif!)).toEqual({ creator: 'Ada', notice: '© Ada' });
    expect(found.iptc).toEqual(format === 'jpeg' || format === 'tiff' ? full.iptc : undefined);
    if (['jpeg', 'png', 'tiff'].includes(format)) expect(found.density).toBeCloseTo(300, 1);
    // A decoder of its own agrees: sharp finds the pixels and the profile.
    const codec = createSharpCodec();
    const [before, after] = [await codec.decode(bytes), await codec.decode(written, { icc: 'keep' })];
    expect(after.data).toEqual(before.data);
  });

  it('each part alone, and nothing for nothing', () => {
    expect(embedMetadata(bytes, format, {})).toBe(bytes);
    for (const key of ['exif', 'xmp', 'icc'] as const) {
      const found = readMetadata(embedMetadata(bytes, format, { [key]: full[key] }));
      expect(found[key]).toBeDefined();
      expect(probeImage(embedMetadata(bytes, format, { [key]: full[key] }))).toEqual(probeImage(bytes));
    }
  });
});

it('splits a large profile over JPEG segments and leaves out what a segment cannot hold', () => {
  const large = new Uint8Array(150_000).map((_, i) => i % 251);
  const written = embedMetadata(readImage('rgb.jpg'), 'jpeg', { icc: large, exif: large });
  const found = readMetadata(written);
  expect(found.icc).toEqual(large);
  expect(found.exif).toBeUndefined();
});

it('replaces the profile that an encoder wrote by itself', () => {
  for (const [format, file] of [
    ['jpeg', 'p3.jpg'],
    ['webp', 'orientation-6.webp'],
  ] as const) {
    const written = embedMetadata(readImage(file), format, { icc });
    expect(readMetadata(written).icc).toEqual(icc);
    expect(formatOf(written).complete(written)).toBe(true);
  }
});
