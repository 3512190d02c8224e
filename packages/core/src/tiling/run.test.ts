import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  halve,
  identityLayout,
  identitySessions,
  planes as planesIn,
} from '../../../../test/helpers/identity-session.ts';
import type { PixelImage } from '../image/pixels.ts';
import { reflect } from './pad.ts';
import { imageSink, imageSource, type PixelSink } from './pixels.ts';
import type { TilingOptions } from './plan.ts';
import { type Progress, runTiles, type TilingJob } from './run.ts';

/** Each pixel tells its own position: any mix-up of coordinates shows. */
function positions(width: number, height: number, bitDepth: 8 | 16 = 16): PixelImage {
  const data = new (bitDepth === 16 ? Uint16Array : Uint8Array)(width * height * 3);
  for (let i = 0; i < width * height; i++) {
    data[3 * i] = i % width;
    data[3 * i + 1] = Math.floor(i / width);
    data[3 * i + 2] = i * 40_503;
  }
  return { width, height, channels: 3, data };
}

/** A sink that insists on what PixelSink promises. */
function strictSink(width: number, height: number, bitDepth: 8 | 16): PixelSink & { readonly image: PixelImage } {
  const { image, write } = imageSink(width, height, bitDepth);
  let next = 0;
  let busy = false;
  return {
    image,
    async write(x, y, w, h, data) {
      expect([x, y, w, data.length, busy]).toEqual([0, next, width, w * h * 3, false]);
      busy = true;
      await Promise.resolve();
      await write(x, y, w, h, data);
      next = y + h;
      busy = false;
    },
  };
}

const side = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 300 }));
const tiling: fc.Arbitrary<TilingOptions> = fc.record({
  mode: fc.constantFrom('local', 'global', 'whole', 'auto'),
  tile: fc.constantFrom(64, 80, 128),
  overlap: fc.constantFrom(0, 32),
  passes: fc.constantFrom(0, 1, 2),
  uniform: fc.boolean(),
});

describe('runTiles with a network that changes nothing', () => {
  it('gives the source back, pixel for pixel, whatever the size, mode, depth, layout and concurrency', async () => {
    const way = fc.record({ io: fc.constantFrom('float', 'uint8'), concurrency: fc.integer({ min: 1, max: 4 }) });
    await fc.assert(
      fc.asyncProperty(side, side, tiling, fc.constantFrom(8, 16), way, async (...given) => {
        const [width, height, tiling, bitDepth, { io, concurrency }] = given;
        const image = positions(width, height, bitDepth as 8 | 16);
        const sink = strictSink(width, height, bitDepth as 8 | 16);
        const { open, log } = identitySessions();
        const job = {
          source: imageSource(image),
          sink,
          open,
          crop: 128,
          layout: identityLayout,
          tiling,
          concurrency,
          io,
        };
        const { plan, runs } = await runTiles(job);
        expect(log.opened.every((session) => session.io === (bitDepth === 8 ? io : 'float'))).toBe(true);
        expect(sink.image).toEqual(image);
        expect(runs).toBe(plan.steps);
        expect(log.alive).toBe(0);
        expect(log.mostRunning).toBeLessThanOrEqual(concurrency);
      }),
      { numRuns: 150 },
    );
  });

  it('gives each size from 1×1 to 40×40 back in each mode', async () => {
    for (const mode of ['local', 'global', 'whole'] as const) {
      for (let width = 1; width <= 40; width++) {
        for (let height = 1; height <= 40; height += 1 + (width % 3)) {
          const image = positions(width, height);
          const sink = strictSink(width, height, 16);
          const { open } = identitySessions();
          const job = { source: imageSource(image), sink, open, crop: 128, layout: identityLayout };
          await runTiles({ ...job, tiling: { mode, tile: 64 } });
          expect(sink.image).toEqual(image);
        }
      }
    }
  });

  it('feeds `global` the windows of the mirrored image and of its true quadrants, and cores that partition', async () => {
    await fc.assert(
      fc.asyncProperty(side, side, fc.boolean(), fc.constantFrom(8, 16), async (width, height, uniform, depth) => {
        const bitDepth = depth as 8 | 16;
        const image = positions(width, height, bitDepth);
        const { open, log } = identitySessions({ record: true });
        const tiling = { mode: 'global', tile: 80, overlap: 32, passes: 1, uniform } as const;
        const sink = imageSink(width, height, bitDepth);
        const { plan } = await runTiles({
          source: imageSource(image),
          sink,
          open,
          crop: 128,
          layout: identityLayout,
          tiling,
          io: 'uint8',
        });
        const [thumbnail, ...fed] = log.fed;
        expect(Object.keys(thumbnail!)).toEqual(['image']);
        const at = (channel: number, y: number, x: number) =>
          image.data[(reflect(y, height) * width + reflect(x, width)) * 3 + channel]! / (depth === 8 ? 255 : 65535);
        const cores = new Float32Array((plan.padded.width * plan.padded.height) / 4);
        for (const [i, feeds] of fed.entries()) {
          const x = plan.columns.starts[i % plan.columns.starts.length]!;
          const y = plan.rows.starts[Math.floor(i / plan.columns.starts.length) % plan.rows.starts.length]!;
          const { width: w, height: h } = plan.window;
          const shape = (c: number, y: number, x: number) => (depth === 8 ? [1, y, x, c] : [1, c, y, x]);
          expect(feeds.image!.shape).toEqual(shape(3, h, w));
          expect(feeds.quadrants!.shape).toEqual(shape(12, h / 2, w / 2));
          expect(feeds.core!.shape).toEqual(shape(1, h / 2, w / 2));
          const expected = planes(3, h, w, (c, j, k) => at(c, y + j, x + k));
          expect(difference(planesIn(feeds.image!), expected)).toBeLessThan(1e-7);
          const quadrants = planes(12, h / 2, w / 2, (c, j, k) => {
            const q = Math.floor(c / 3);
            return at(
              c % 3,
              y / 2 + j + (q >> 1) * (plan.padded.height / 2),
              x / 2 + k + (q & 1) * (plan.padded.width / 2),
            );
          });
          expect(difference(planesIn(feeds.quadrants!), quadrants)).toBeLessThan(1e-7);
          for (const [j, value] of feeds.core!.data.entries()) {
            cores[(y / 2 + Math.floor(j / (w / 2))) * (plan.padded.width / 2) + x / 2 + (j % (w / 2))]! += value;
          }
        }
        // The statistics' sweep and the output's each count every pixel of the grid once.
        expect(cores.every((count) => count === 2)).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  it('feeds the output sweep the means over the whole image', async () => {
    const image = positions(201, 150);
    const { open, log } = identitySessions({ record: true });
    const tiling = { mode: 'global', tile: 64, overlap: 32, passes: 1 } as const;
    const sink = imageSink(201, 150, 16);
    await runTiles({
      source: imageSource(image),
      sink,
      open,
      crop: 128,
      layout: identityLayout,
      tiling,
      concurrency: 3,
    });
    const full = planes(
      3,
      160,
      208,
      (c, y, x) => image.data[(reflect(y, 150) * 201 + reflect(x, 201)) * 3 + c]! / 65535,
    );
    const half = halve(full, 208, 160);
    const given = log.fed.at(-1)!.statistics!;
    expect(given.shape).toEqual([1, 9]);
    for (const [slot, { level }] of identityLayout.entries()) {
      for (let channel = 0; channel < 3; channel++) {
        let sum = 0;
        let count = 0;
        for (let y = 0; y < 80; y += 2 ** level) {
          for (let x = 0; x < 104; x += 2 ** level, count++) sum += half[(channel * 80 + y) * 104 + x]!;
        }
        expect(given.data[slot * 3 + channel]).toBeCloseTo(sum / count, 6);
      }
    }
  });

  it('opens `global` first with its own statistics, on the thumbnail alone, then with given ones', async () => {
    const { open, log } = identitySessions({ record: true });
    const job = { source: imageSource(positions(1300, 40, 8)), sink: imageSink(1300, 40, 8), open, crop: 128 };
    const tiling = { mode: 'global', tile: 512, passes: 0, uniform: true } as const;
    await runTiles({ ...job, layout: identityLayout, tiling });
    expect(log.opened).toEqual([
      { io: 'float', statistics: 'own', quadrants: 'own' },
      { io: 'float', statistics: 'given', quadrants: 'given', shape: { batch: 1, height: 512, width: 512 } },
    ]);
    expect(log.fed[0]!.image!.shape).toEqual([1, 3, 16, 512]);
  });

  it('lets go of the thumbnail’s graph where many windows follow', async () => {
    for (const [tile, kept] of [
      [512, [true, true]],
      [64, [false, true]],
    ] as const) {
      const { open } = identitySessions();
      const keeps: boolean[] = [];
      const job = { source: imageSource(positions(700, 40, 8)), sink: imageSink(700, 40, 8), crop: 128 };
      const noting: TilingJob['open'] = (options, keep = true) => {
        keeps.push(keep);
        return open(options);
      };
      await runTiles({ ...job, open: noting, layout: identityLayout, tiling: { mode: 'global', tile, passes: 0 } });
      expect(keeps).toEqual(kept);
    }
  });

  it('gives the degradation at half resolution', async () => {
    const modes = (['local', 'global', 'whole'] as const).flatMap((mode) => [[mode, 8] as const, [mode, 16] as const]);
    for (const [mode, bitDepth] of modes) {
      const image = positions(151, 99, bitDepth);
      const prior = imageSink(76, 50, bitDepth);
      const { open } = identitySessions();
      const source = imageSource(image);
      const job = { source, sink: imageSink(151, 99, bitDepth), open, crop: 128, layout: identityLayout };
      await runTiles({ ...job, io: 'uint8', degradation: prior, tiling: { mode, tile: 64, overlap: 32 } });
      const full = planes(3, 100, 152, (c, y, x) => image.data[(reflect(y, 99) * 151 + reflect(x, 151)) * 3 + c]!);
      const half = halve(full, 152, 100);
      for (let i = 0; i < 76 * 50 * 3; i++) {
        const expected = half[(i % 3) * 76 * 50 + Math.floor(i / 3)]! / 2;
        // In bytes the background is rounded once and the degradation once more.
        expect(Math.abs(prior.image.data[i]! - expected)).toBeLessThanOrEqual(bitDepth === 8 ? 1.01 : 0.51);
      }
    }
  });

  it('mixes result and source by strength', async () => {
    const image = positions(90, 70, 8);
    // A network that answers black: what is left of the source is 1 − strength.
    const { open } = identitySessions();
    const black: typeof open = async (options) => {
      const session = await open(options);
      const run: typeof session.run = async (feeds) => {
        const { restored } = await session.run(feeds);
        return { restored: { ...restored!, data: new Float32Array(restored!.data.length) } as typeof feeds.image & {} };
      };
      return { ...session, run };
    };
    for (const strength of [0, 0.25, 1]) {
      const sink = strictSink(90, 70, 8);
      const job = { source: imageSource(image), sink, open: black, crop: 128, layout: identityLayout, strength };
      await runTiles({ ...job, tiling: { mode: 'local', tile: 64 } });
      for (const [i, value] of sink.image.data.entries()) {
        expect(Math.abs(value - image.data[i]! * (1 - strength))).toBeLessThanOrEqual(0.51);
      }
    }
  });

  it('reports progress that never falls and ends at its total', async () => {
    for (const mode of ['local', 'global', 'whole'] as const) {
      const seen: Progress[] = [];
      const { open } = identitySessions();
      const job = { source: imageSource(positions(200, 90)), sink: imageSink(200, 90, 16), open, crop: 128 };
      const onProgress = (progress: Progress) => seen.push(progress);
      const tiling = { mode, tile: 64, overlap: 32, passes: 2 } as const;
      const { plan } = await runTiles({ ...job, layout: identityLayout, tiling, onProgress, concurrency: 3 });
      expect(seen[0]).toMatchObject({ tile: 0, tiles: plan.steps, fraction: 0 });
      expect(seen.at(-1)).toEqual({ phase: 'restore', tile: plan.steps, tiles: plan.steps, fraction: 1 });
      const phases = [...new Set(seen.map(({ phase }) => phase))];
      expect(phases).toEqual(mode === 'global' ? ['statistics', 'restore'] : ['restore']);
      for (let i = 1; i < seen.length; i++) {
        expect(seen[i]!.tile).toBe(seen[i - 1]!.tile + 1);
        expect(seen[i]!.fraction).toBeGreaterThan(seen[i - 1]!.fraction);
      }
    }
  });
});

function planes(channels: number, height: number, width: number, at: (c: number, y: number, x: number) => number) {
  const out = new Float32Array(channels * height * width);
  let to = 0;
  for (let c = 0; c < channels; c++) {
    for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) out[to++] = at(c, y, x);
  }
  return out;
}

function difference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let most = a.length === b.length ? 0 : Number.POSITIVE_INFINITY;
  for (let i = 0; i < a.length; i++) most = Math.max(most, Math.abs(a[i]! - b[i]!));
  return most;
}
