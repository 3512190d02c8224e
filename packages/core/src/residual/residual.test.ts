import fc from 'fast-check';
import { expect, test } from 'vitest';
import { imageSink, imageSource, type Samples } from '../tiling/pixels.ts';
import { applyResidual } from './apply.ts';
import { readResidual, writeResidual } from './file.ts';
import { keptDepth, type Residual, residualOf } from './residual.ts';
import { exposureTone } from './tone.ts';

const pixels = (width: number, height: number, depth: 8 | 16, seed: number): Samples => {
  const out = depth === 16 ? new Uint16Array(width * height * 3) : new Uint8Array(width * height * 3);
  return out.map((_, i) => Math.imul(i + seed, 0x9e3779b1) >>> (depth === 16 ? 16 : 24));
};
const picture = (width: number, height: number, data: Samples) => ({ width, height, channels: 3, data }) as const;
const sides = fc.integer({ min: 1, max: 24 });
const depths = fc.constantFrom(8 as const, 16 as const);

async function applied(residual: Residual, image: ReturnType<typeof picture>, options = {}) {
  const source = imageSource(image);
  const sink = imageSink(image.width, image.height, source.bitDepth);
  await applyResidual(residual, source, sink, options);
  return sink.image.data;
}

test('at the size of the source nothing is lost: source + residual is what the network gave', async () => {
  await fc.assert(
    fc.asyncProperty(sides, sides, depths, async (width, height, depth) => {
      const before = picture(width, height, pixels(width, height, depth, 1));
      const restored = pixels(width, height, depth, 77);
      const source = imageSource(before);
      expect(keptDepth(source, before)).toBe(depth);
      expect(await applied(residualOf(source, before, restored), before)).toEqual(restored);
    }),
  );
});

test('an even difference stays what it is when it is enlarged, at any size and depth', async () => {
  await fc.assert(
    fc.asyncProperty(sides, sides, sides, sides, depths, async (width, height, w, h, depth) => {
      const level = depth === 16 ? 257 : 1;
      const source = picture(
        width,
        height,
        pixels(width, height, depth, 3).map((v) => Math.min(v, 200 * level)) as Samples,
      );
      const seen = picture(w, h, pixels(w, h, depth, 5).map((v) => Math.min(v, 200 * level)) as Samples);
      const kept = Uint16Array.from(seen.data, (v) => (v + 40 * level) * (depth === 16 ? 1 : 257));
      const input = imageSource(source);
      const restored = keptDepth(input, seen) === 16 ? kept : Uint8Array.from(kept, (v) => v / 257);
      const result = await applied(residualOf(input, seen, restored), source);
      expect(result).toEqual(source.data.map((v) => v + 40 * level));
    }),
  );
});

test('strength mixes source and result; 0 leaves every pixel', async () => {
  const before = picture(7, 5, pixels(7, 5, 8, 1));
  const restored = pixels(7, 5, 8, 9);
  const residual = residualOf(imageSource(before), before, restored);
  expect(await applied(residual, before, { strength: 0 })).toEqual(before.data);
  const half = await applied(residual, before, { strength: 0.5 });
  half.forEach((value, i) => {
    expect(Math.abs(value - (before.data[i]! + restored[i]!) / 2)).toBeLessThanOrEqual(0.51);
  });
});

test('it is written as bytes and read back, with what is known of it', () => {
  fc.assert(
    fc.property(sides, sides, depths, fc.string(), (width, height, depth, fact) => {
      const before = picture(width, height, pixels(width, height, depth, 1));
      const residual = residualOf(imageSource(before), before, pixels(width, height, depth, 50));
      const read = readResidual(writeResidual({ residual, facts: { fact } }));
      expect(read).toEqual({ residual, facts: { fact } });
    }),
  );
  expect(readResidual(writeResidual({ facts: 1 }))).toEqual({ facts: 1 });
});

test('bytes that are none, or are cut off or changed, are refused by one error', () => {
  const before = picture(9, 4, pixels(9, 4, 8, 1));
  const whole = writeResidual({ residual: residualOf(imageSource(before), before, pixels(9, 4, 8, 4)), facts: {} });
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), fc.boolean(), (at, by, cut) => {
      const bytes = cut ? whole.slice(0, at) : whole.map((value, i) => (i === at ? value ^ by : value));
      try {
        const { residual } = readResidual(bytes);
        expect(residual?.data.length ?? 0).toBeLessThanOrEqual(200_000_000 * 3);
      } catch (error) {
        expect(error).toMatchObject({ code: 'INPUT_UNREADABLE' });
      }
    }),
  );
});

test('another picture is refused', async () => {
  const before = picture(4, 4, pixels(4, 4, 8, 1));
  const residual = residualOf(imageSource(before), before, pixels(4, 4, 8, 2));
  for (const other of [picture(4, 5, pixels(4, 5, 8, 1)), picture(4, 4, pixels(4, 4, 16, 1))])
    await expect(applied(residual, other)).rejects.toMatchObject({ code: 'OPTION_INVALID' });
});

test('exposure: black and white stay, shadows get the stops in linear light, hues stay', () => {
  expect(exposureTone(0)).toBeUndefined();
  for (const stops of [-2, -0.5, 1, 2]) {
    const tone = exposureTone(stops)!;
    const ends = Float32Array.from([0, 0, 0, 1, 1, 1]);
    tone(ends);
    expect([...ends]).toEqual([0, 0, 0, 1, 1, 1]);
    // sRGB is linear below 0.04: a stop is a factor there.
    const dark = Float32Array.from([0.004, 0.002, 0.001]);
    tone(dark);
    expect(dark[0]! / 0.004 / 2 ** stops).toBeCloseTo(1, 1);
    expect(dark[0]! / dark[1]!).toBeCloseTo(2, 1);
    const ramp = Float32Array.from({ length: 300 }, (_, i) => Math.floor(i / 3) / 99);
    tone(ramp);
    for (let i = 3; i < ramp.length; i++) expect(ramp[i]!).toBeGreaterThan(ramp[i - 3]!);
  }
});
