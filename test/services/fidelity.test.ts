import { readFileSync } from 'node:fs';
import type { Codec, Metadata, OutputFormat, PixelImage } from '@elfin/core';
import { createRestorer, loadSharpCodec } from '@elfin/core/node';
import { createModels } from '@elfin/models/node';
import { afterAll, describe, expect, test } from 'vitest';
import { adobeRgb } from '../fixtures/images/icc.ts';
import { openJsquash } from '../helpers/jsquash.ts';
import { seeded } from '../helpers/seeded-model.ts';

// Each profile in each format, each depth in each format, through both codecs: too many for every run of the tests.

const models = createModels();
const node = await loadSharpCodec();
const isolate = await openJsquash();
const restorers = {
  sharp: createRestorer({ models }),
  jsquash: createRestorer({ models, codec: isolate }),
};
afterAll(() => Promise.all(Object.values(restorers).map((one) => one.dispose())));

const read = (name: string) => new Uint8Array(readFileSync(new URL(`../fixtures/fidelity/${name}`, import.meta.url)));
const iccOf = async (name: string) => (await node.decode(read(name))).metadata.icc!;
const cicp = (primaries: number, transfer: number): Metadata => ({
  cicp: { primaries, transfer, matrix: 0, fullRange: true },
});

const PROFILES: Readonly<Record<string, { readonly grey?: true; readonly hdr?: true; readonly metadata: Metadata }>> = {
  none: { metadata: {} },
  'Display P3': { metadata: { icc: await iccOf('p3-sat.png') } },
  'Adobe RGB': { metadata: { icc: adobeRgb() } },
  'Display P3 by cICP': { metadata: cicp(12, 13) },
  'Rec. 2020 by cICP': { metadata: cicp(9, 1) },
  PQ: { hdr: true, metadata: cicp(9, 16) },
  HLG: { hdr: true, metadata: cicp(9, 18) },
  'PNG gamma': { metadata: { gamma: 1 / 1.8 } },
  grey: { grey: true, metadata: {} },
  'grey in linear light': { grey: true, metadata: { icc: await iccOf('grey-linear-16.png') } },
};
const FORMATS: readonly OutputFormat[] = ['png', 'tiff', 'webp', 'avif', 'jpeg'];
const DEPTHS: Readonly<Record<OutputFormat, readonly (8 | 16)[]>> = {
  png: [8, 16],
  tiff: [8, 16],
  webp: [8],
  avif: [8, 16],
  jpeg: [8],
};

/** Soft colours with some noise, 64 × 48. */
function scene(channels: 1 | 2 | 3 | 4, depth: 8 | 16): PixelImage {
  const [width, height, random] = [64, 48, seeded(11)];
  const data = depth === 16 ? new Uint16Array(width * height * channels) : new Uint8Array(width * height * channels);
  const most = 2 ** depth - 1;
  for (let i = 0; i < data.length; i++) {
    const [x, c] = [Math.floor(i / channels) % width, i % channels];
    const y = Math.floor(i / channels / width);
    const alpha = c === channels - 1 && channels % 2 === 0;
    const value = alpha ? (y < 8 ? 0 : 1) : 0.5 + 0.45 * Math.sin(x / (7 + 3 * c) + y / 9) + 0.04 * (random() - 0.5);
    data[i] = Math.min(1, Math.max(0, value)) * most;
  }
  return { width, height, channels, data };
}

const tags = ({ icc, cicp, gamma, chromaticities }: Metadata) => ({ icc, cicp, gamma, chromaticities });
const apart = (a: Pick<PixelImage, 'data'>, b: Pick<PixelImage, 'data'>) => {
  const scale = a.data instanceof Uint16Array ? 257 : 1;
  return Array.from(a.data, (value, i) => Math.abs(value - b.data[i]!) / scale).reduce((x, y) => Math.max(x, y), 0);
};

const cases = Object.keys(PROFILES)
  .flatMap((profile) => FORMATS.flatMap((format) => DEPTHS[format].map((depth) => [profile, format, depth] as const)))
  .filter(([profile, format]) => !PROFILES[profile]!.hdr || format === 'png' || format === 'avif');

async function sourceOf(profile: string, format: OutputFormat, depth: 8 | 16, alpha = false): Promise<Uint8Array> {
  const { grey, metadata } = PROFILES[profile]!;
  const channels = ((grey ? 1 : 3) + (alpha ? 1 : 0)) as 1 | 2 | 3 | 4;
  const lossless = format === 'webp' || format === 'avif';
  return node.encode(scene(channels, depth), { format, metadata, lossless });
}

describe.each(['sharp', 'jsquash'] as const)('strength 0 by %s', (by) => {
  const codec: Codec = by === 'sharp' ? node : isolate;
  const able = cases.filter(([, format]) => codec.formats.includes(format));

  test.each(able)('%s in %s of %i bits is the source', async (profile, format, depth) => {
    const bytes = await sourceOf(profile, format, depth, format !== 'jpeg');
    const source = await codec.decode(bytes);
    const { image, metadata } = await restorers[by].restore(bytes, { task: 'derain', strength: 0 });
    expect(image).toMatchObject({ width: 64, height: 48, channels: source.channels });
    expect(apart(image, source)).toBe(0);
    expect(tags(metadata)).toEqual(tags(source.metadata));
    if (by === 'jsquash') return;
    const { bytes: encoded } = await restorers[by].restoreEncoded(bytes, { task: 'derain', strength: 0 });
    const again = await codec.decode(encoded);
    expect(tags(again.metadata)).toEqual(tags(source.metadata));
    if (source.header.lossless) expect(again.data).toEqual(source.data);
    else {
      const options = { format, metadata: source.metadata } as const;
      expect(Buffer.compare(encoded, await codec.encode(source, options))).toBe(0);
    }
  });
});

const both = cases.filter(([, format]) => isolate.formats.includes(format));

test.each(both)('%s in %s of %i bits is restored alike in Node and in an isolate', async (profile, format, depth) => {
  const bytes = await sourceOf(profile, format, depth);
  const [one, other] = [
    await restorers.sharp.restore(bytes, { task: 'lowlight' }),
    await restorers.jsquash.restore(bytes, { task: 'lowlight' }),
  ];
  expect(other.image.channels).toBe(one.image.channels);
  expect(tags(other.metadata)).toEqual(tags(one.metadata));
  // JPEG decoders differ by a level or two already, which a network that brightens multiplies.
  const decoded = apart(await node.decode(bytes), await isolate.decode(bytes));
  expect(decoded).toBeLessThanOrEqual(2);
  expect(apart(one.image, other.image)).toBeLessThanOrEqual(decoded === 0 ? 1 : 8);
});

test.each(['jpeg', 'webp', 'tiff'] as const)('HDR is refused by name for %s', async (format) => {
  const bytes = await sourceOf('PQ', 'png', 16);
  const refusal = { code: 'OPTION_INVALID', message: expect.stringMatching(/HDR \(Rec\. 2020, PQ\)/) };
  await expect(restorers.sharp.restoreEncoded(bytes, { task: 'derain', format })).rejects.toMatchObject(refusal);
});
