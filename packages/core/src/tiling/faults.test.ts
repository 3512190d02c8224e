import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type IdentityOptions, identityLayout, identitySessions } from '../../../../test/helpers/identity-session.ts';
import { ElfinError } from '../base/errors.ts';
import type { PixelImage } from '../image/pixels.ts';
import { imageSink, imageSource, type PixelSource } from './pixels.ts';
import type { TilingOptions } from './plan.ts';
import { type Progress, runTiles, type TilingJob } from './run.ts';

const WIDTH = 300;
const HEIGHT = 220;

function noise(width: number, height: number): PixelImage {
  const data = new Uint16Array(width * height * 3);
  for (let i = 0; i < data.length; i++) data[i] = Math.imul(i + 1, 0x9e3779b1) >>> 16;
  return { width, height, channels: 3, data };
}

const image = noise(WIDTH, HEIGHT);

function prepare(tiling: TilingOptions, before?: IdentityOptions['before'], more: Partial<TilingJob> = {}) {
  const { open, log } = identitySessions(before && { before });
  const sink = imageSink(WIDTH, HEIGHT, 16);
  const prior = imageSink(WIDTH / 2, HEIGHT / 2, 16);
  const job = { source: imageSource(image), sink, degradation: prior, open, crop: 128, layout: identityLayout, tiling };
  return { job: { ...job, ...more }, sink, prior, log };
}

// toEqual walks large arrays element by element.
const same = (a: PixelImage, b: PixelImage) => Buffer.compare(bytes(a), bytes(b)) === 0;
const bytes = ({ data }: PixelImage) => Buffer.from(data.buffer, data.byteOffset, data.byteLength);

const outOfMemory = () => new ElfinError('OUT_OF_MEMORY', 'The tensor arena is full.');

describe('when the runtime runs out of memory', () => {
  it('halves the tiles and goes on, wherever it happens; each row is still written once and right', async () => {
    const mode = fc.constantFrom('local' as const, 'global' as const);
    const untouched = prepare({ mode: 'whole' });
    await runTiles(untouched.job);
    await fc.assert(
      fc.asyncProperty(
        mode,
        fc.nat(30),
        fc.nat(30),
        fc.integer({ min: 1, max: 4 }),
        async (mode, a, b, concurrency) => {
          const seen: Progress[] = [];
          // Fails at the a-th run, and again b runs later.
          const before = (_: unknown, index: number) => {
            if (index === a || index === a + b + 1) throw outOfMemory();
          };
          const more = { concurrency, onProgress: (progress: Progress) => seen.push(progress) };
          const tiling = { mode, tile: 256, overlap: 64, passes: 1 };
          const { job, sink, prior, log } = prepare(tiling, before, more);
          const { halvings, plan } = await runTiles(job);
          expect(same(sink.image, image)).toBe(true);
          const apart = prior.image.data.map((value, i) => Math.abs(value - untouched.prior.image.data[i]!));
          expect(apart.every((difference) => difference <= 1)).toBe(true);
          expect(plan.window.width).toBe(plan.columns.starts.length > 1 ? plan.window.width : 304);
          expect(halvings).toBeLessThanOrEqual(2);
          expect(log.alive).toBe(0);
          for (let i = 1; i < seen.length; i++) {
            expect(seen[i]!.fraction).toBeGreaterThanOrEqual(seen[i - 1]!.fraction);
            expect(seen[i]!.tile).toBeGreaterThanOrEqual(seen[i - 1]!.tile);
          }
          expect(seen.at(-1)).toMatchObject({ fraction: 1, tile: seen.at(-1)!.tiles });
        },
      ),
      { numRuns: 60 },
    );
  });

  it('does not lose what was being blended: a seam between tiles of both sizes stays smooth', async () => {
    // The network of this test answers 0.25 with large windows and 0.75 with small ones.
    const { open } = identitySessions({
      before: (feeds, index) => {
        if (feeds.image!.shape[3] === 256 && index >= 2) throw outOfMemory();
      },
    });
    const flat: typeof open = async (options) => {
      const session = await open(options);
      const run: typeof session.run = async (feeds, options) => {
        const { restored } = await session.run(feeds, options);
        const value = feeds.image!.shape[3] === 256 ? 0.25 : 0.75;
        return {
          restored: {
            type: 'float32',
            shape: restored!.shape,
            data: new Float32Array(restored!.data.length).fill(value),
          },
        };
      };
      return { ...session, run };
    };
    const source = imageSource(noise(448, 600));
    const sink = imageSink(448, 600, 16);
    const tiling = { mode: 'local', tile: 256, overlap: 64 } as const;
    await runTiles({ source, sink, open: flat, crop: 128, layout: identityLayout, tiling });
    const column = Array.from({ length: 600 }, (_, y) => sink.image.data[y * 448 * 3]! / 65535);
    expect(column[0]).toBeCloseTo(0.25, 3);
    expect(column[599]).toBeCloseTo(0.75, 3);
    for (let y = 1; y < 600; y++) {
      expect(column[y]! - column[y - 1]!).toBeGreaterThanOrEqual(-1e-4);
      expect(column[y]! - column[y - 1]!).toBeLessThan(0.02);
    }
  });

  it('says what to do once the tiles are as small as they get', async () => {
    const { job, log } = prepare({ mode: 'global' }, () => {
      throw outOfMemory();
    });
    await expect(runTiles(job)).rejects.toMatchObject({
      code: 'OUT_OF_MEMORY',
      message: expect.stringMatching(/window of \d+×\d+ pixels; free memory, or use the lighter model/),
      cause: { message: 'The tensor arena is full.' },
    });
    expect(log.alive).toBe(0);
    const whole = prepare({ mode: 'whole' }, () => {
      throw outOfMemory();
    });
    await expect(runTiles(whole.job)).rejects.toMatchObject({ code: 'OUT_OF_MEMORY', message: /let it be tiled/ });
  });

  it('tiles an image that `auto` would have run whole', async () => {
    const before: IdentityOptions['before'] = ({ image }) => {
      if (image!.shape[3]! > 160) throw outOfMemory();
    };
    const { job, sink } = prepare({ mode: 'auto', tile: 512 }, before);
    const { plan, halvings } = await runTiles(job);
    expect(plan.mode).not.toBe('whole');
    expect(halvings).toBeGreaterThan(0);
    expect(same(sink.image, image)).toBe(true);
  });

  it("does not take a sink's lack of memory for the runtime's", async () => {
    const sink = { write: () => Promise.reject(outOfMemory()) };
    const { job } = prepare({ mode: 'local', tile: 64 }, undefined, { sink });
    await expect(runTiles(job)).rejects.toMatchObject({ message: 'The tensor arena is full.' });
  });
});

describe('when a run ends early', () => {
  it.each(['local', 'global', 'whole'] as const)('stops %s at an abort and disposes everything', async (mode) => {
    for (const at of [0, 1, 5]) {
      const controller = new AbortController();
      const before: IdentityOptions['before'] = (_, index) => {
        if (index === at) controller.abort(new Error('closed'));
      };
      const { job, log } = prepare({ mode, tile: 64, overlap: 32 }, before, {
        signal: controller.signal,
        concurrency: 3,
      });
      if (mode === 'whole' && at > 0) continue;
      // A run that was under way may still end well: then the next tile does not start.
      const outcome = runTiles(job).catch((error: unknown) => error);
      if (mode !== 'whole') expect(await outcome).toMatchObject({ code: 'ABORTED', cause: { message: 'closed' } });
      await outcome;
      expect(log).toMatchObject({ alive: 0, running: 0 });
    }
  });

  it('opens nothing for a signal that has fired', async () => {
    const { job, log } = prepare({}, undefined, { signal: AbortSignal.abort() });
    await expect(runTiles(job)).rejects.toMatchObject({ code: 'ABORTED' });
    expect(log.opened).toEqual([]);
  });

  it('hands signal and deadline to each run, and cancels the others when one fails', async () => {
    const cancelled: unknown[] = [];
    const deadline = Date.now() + 60_000;
    const before: IdentityOptions['before'] = async (_, index, options) => {
      expect(options.deadline).toBe(deadline);
      if (index === 0) throw new ElfinError('REMOTE_BUSY', 'The worker is busy.');
      await new Promise<void>((resolve) => options.signal!.addEventListener('abort', () => resolve()));
      cancelled.push(options.signal!.reason);
    };
    const { job, log } = prepare({ mode: 'local', tile: 64 }, before, { concurrency: 4, deadline });
    await expect(runTiles(job)).rejects.toMatchObject({ code: 'REMOTE_BUSY' });
    expect(cancelled).toHaveLength(3);
    expect(log).toMatchObject({ alive: 0, running: 0 });
  });

  it('starts no tile after the deadline', async () => {
    const { job, log } = prepare({ mode: 'local', tile: 64 }, undefined, { deadline: Date.now() - 1 });
    await expect(runTiles(job)).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect(log).toMatchObject({ alive: 0, mostRunning: 0 });
  });

  it('refuses numbers that are none', async () => {
    const { job } = prepare({ mode: 'local', tile: 64 });
    const open: TilingJob['open'] = async (options) => {
      const session = await job.open(options);
      return {
        ...session,
        run: async (feeds) => {
          const outputs = await session.run(feeds);
          (outputs.restored!.data as Float32Array)[77] = Number.NaN;
          return outputs;
        },
      };
    };
    await expect(runTiles({ ...job, open })).rejects.toMatchObject({ code: 'RUNTIME_FAILED', message: /not numbers/ });
  });

  it.each([
    [{ strength: 1.5 }, 'OPTION_INVALID'],
    [{ strength: Number.NaN }, 'OPTION_INVALID'],
    [{ concurrency: 0 }, 'OPTION_INVALID'],
  ])('refuses %o', async (more, code) => {
    await expect(runTiles(prepare({}, undefined, more).job)).rejects.toMatchObject({ code });
  });
});

describe('memory', () => {
  // Every buffer that the runner gets from the source or the sessions, or gives to them or the sink, must be small
  // beside the image: none may grow with its height.
  it.each(['local', 'global'] as const)('of %s is bounded by a row of windows', async (mode) => {
    const largest = async (height: number) => {
      let most = 0;
      const note = (length: number) => {
        most = Math.max(most, length);
      };
      const source: PixelSource = {
        width: 256,
        height,
        bitDepth: 8,
        async read(_x, _y, width, height) {
          note(width * height * 3);
          return new Uint8Array(width * height * 3).fill(100);
        },
      };
      const before: IdentityOptions['before'] = (feeds) => {
        for (const { data } of Object.values(feeds)) note(data.length);
      };
      const { open, log } = identitySessions({ before });
      let rows = 0;
      const sink = {
        async write(_x: number, _y: number, _width: number, height: number, data: { length: number }) {
          note(data.length);
          rows += height;
        },
      };
      const tiling = { mode, tile: 128, overlap: 32, thumbnail: 128 } as const;
      await runTiles({ source, sink, open, crop: 128, layout: identityLayout, tiling, strength: 0.5, concurrency: 2 });
      expect(rows).toBe(height);
      expect(log.mostRunning).toBe(2);
      return most;
    };
    const short = await largest(512);
    expect(await largest(5000)).toBeLessThanOrEqual(short);
    expect(short).toBeLessThanOrEqual(256 * 128 * 3);
  });
});
