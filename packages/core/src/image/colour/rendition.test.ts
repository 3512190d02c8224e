import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { spaceOfIcc, writeProfile } from './icc.ts';
import { createRendition, isSrgb } from './rendition.ts';
import { type ColourSpace, SRGB, spaceOfCicp, spaceOfGamma } from './space.ts';

const cicp = (primaries: number, transfer: number) =>
  spaceOfCicp({ primaries, transfer, matrix: 0, fullRange: true }) as ColourSpace;

const SPACES: readonly (readonly [string, ColourSpace])[] = [
  ['Display P3', cicp(12, 13)],
  ['Rec. 2020', cicp(9, 1)],
  ['Rec. 2020 PQ', cicp(9, 16)],
  ['Rec. 2020 HLG', cicp(9, 18)],
  ['linear light', cicp(1, 8)],
  ['gamma 2.2', cicp(1, 4)],
  ['PNG gamma 1.8', spaceOfGamma(1 / 1.8, undefined, false) as ColourSpace],
  ['grey in linear light', { ...cicp(1, 8), grey: true }],
  ['grey', { ...SRGB, grey: true }],
];

const samples = (depth: 8 | 16, length: number) => {
  const values = fc.array(fc.integer({ min: 0, max: 2 ** depth - 1 }), { minLength: length, maxLength: length });
  return values.map((list) => (depth === 16 ? Uint16Array.from(list) : Uint8Array.from(list)));
};

describe.each(SPACES)('%s', (_, space) => {
  const length = space.grey ? 4 : 12;

  it.each([8, 16] as const)('at %i bits stays number for number where nothing changed', (depth) => {
    const rendition = createRendition(space, depth);
    fc.assert(
      fc.property(samples(depth, length), (own) => {
        const shown = rendition.show(own);
        expect(rendition.carry(own, shown, shown.slice())).toEqual(own);
      }),
    );
  });

  it('carries a change to where it shows', () => {
    const rendition = createRendition(space, 16);
    fc.assert(
      fc.property(samples(16, length), samples(16, length), (from, to) => {
        const [before, after] = [rendition.show(from), rendition.show(to)];
        const again = rendition.show(rendition.carry(from, before, after));
        // What is clipped on the way cannot be asked to arrive.
        again.forEach((value, i) => {
          const pixel = i - (i % 3);
          const clipped = [0, 1, 2].some((c) =>
            [before, after].some((s) => s[pixel + c] === 0 || s[pixel + c] === 65_535),
          );
          if (!clipped) expect(Math.abs(value - after[i]!)).toBeLessThanOrEqual(80);
        });
      }),
    );
  });
});

it('shows Display P3 as CSS Color 4 converts it', () => {
  const rendition = createRendition(cicp(12, 13), 8);
  // By CSS Color 4's matrices color(display-p3 0.6 0.502 0.4) is rgb(157.9 127.2 97.8).
  expect([...rendition.show(Uint8Array.of(153, 128, 102))]).toEqual([158, 127, 98]);
  expect([...rendition.show(Uint8Array.of(255, 0, 0))]).toEqual([255, 0, 0]);
  expect([...rendition.show(Uint8Array.of(255, 255, 255))]).toEqual([255, 255, 255]);
});

it('shows diffuse white of HDR as white, and what is brighter no brighter', () => {
  // 203 nits are 58 % of PQ's signal, 75 % of HLG's (BT.2408, table 1).
  for (const [transfer, signal] of [
    [16, 0.58],
    [18, 0.75],
  ] as const) {
    const rendition = createRendition(cicp(9, transfer), 16);
    const [value] = rendition.show(new Uint16Array(3).fill(signal * 65_535));
    expect(value! / 65_535).toBeGreaterThan(0.985);
    expect([...rendition.show(new Uint16Array(3).fill(65_535))]).toEqual([65_535, 65_535, 65_535]);
  }
});

describe('profiles', () => {
  it.each(SPACES.filter(([name]) => !/PQ|HLG/.test(name)))('of %s are read as they are written', (_, space) => {
    const read = spaceOfIcc(writeProfile(space)) as ColourSpace;
    expect(read.grey).toBe(space.grey);
    const own = Uint8Array.from({ length: 256 * 3 }, (_, i) => (i * 37) % 256);
    const [wanted, found] = [createRendition(space, 8).show(own), createRendition(read, 8).show(own)];
    wanted.forEach((value, i) => {
      expect(Math.abs(value - found[i]!)).toBeLessThanOrEqual(1);
    });
  });

  it('that are damaged in any way throw nothing', () => {
    const sound = writeProfile(cicp(12, 13));
    fc.assert(
      fc.property(fc.nat(sound.length - 1), fc.nat(255), fc.nat(sound.length), (at, value, length) => {
        const damaged = sound.slice(0, length);
        if (at < length) damaged[at] = value;
        const space = spaceOfIcc(damaged);
        if (space) createRendition(space, 8).show(Uint8Array.of(1, 2, 3));
      }),
      { numRuns: 300 },
    );
  });

  it('of sRGB are known as such, others not', () => {
    expect(isSrgb(spaceOfIcc(writeProfile(SRGB)) as ColourSpace)).toBe(true);
    expect(isSrgb(cicp(12, 13))).toBe(false);
    expect(isSrgb(cicp(1, 4))).toBe(false);
  });
});
