import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { support } from './axis.ts';
import { type Plan, type PlanInput, planTiles, smallerPlan } from './plan.ts';

const side = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 3000 }), fc.constant(12_000));
const tile = fc.integer({ min: 4, max: 64 }).map((n) => n * 16);
const input: fc.Arbitrary<PlanInput> = fc
  .record({ width: side, height: side, tile, share: fc.double({ min: 0, max: 1, noNaN: true }), uniform: fc.boolean() })
  .chain(({ share, ...rest }) =>
    fc.record({
      mode: fc.constantFrom('auto' as const, 'local' as const, 'global' as const, 'whole' as const),
      crop: fc.constantFrom(64, 128, 200),
      overlap: fc.constant(Math.floor((share * rest.tile) / 64) * 32),
      passes: fc.integer({ min: 0, max: 3 }),
      width: fc.constant(rest.width),
      height: fc.constant(rest.height),
      tile: fc.constant(rest.tile),
      uniform: fc.constant(rest.uniform),
    }),
  );

function axesOf(plan: Plan) {
  return [plan.columns, plan.rows];
}

describe('planTiles', () => {
  it('pads to multiples of 16, and no further unless one shape is demanded', () => {
    fc.assert(
      fc.property(input, (options) => {
        const { mode, padded, width, height } = planTiles(options);
        const least = options.uniform && mode !== 'whole' ? options.tile! : 0;
        expect(padded.width % 16).toBe(0);
        expect(padded.height % 16).toBe(0);
        expect(padded.width).toBeLessThan(Math.max(width + 16, least + 1));
        expect(padded.height).toBeGreaterThanOrEqual(height);
      }),
    );
  });

  it('keeps every window inside the padded image, on multiples of 16, in one shape of at most the tile', () => {
    fc.assert(
      fc.property(input, (options) => {
        const plan = planTiles(options);
        for (const axis of axesOf(plan)) {
          expect(axis.window % 16).toBe(0);
          if (plan.mode !== 'whole') expect(axis.window).toBeLessThanOrEqual(options.tile!);
          for (const start of axis.starts) {
            expect(start % 16).toBe(0);
            expect(start).toBeGreaterThanOrEqual(0);
            expect(start + axis.window).toBeLessThanOrEqual(axis.length);
          }
        }
        if (options.uniform && plan.mode !== 'whole') {
          expect(plan.window).toEqual({ width: options.tile, height: options.tile });
        }
      }),
    );
  });

  it('covers each pixel by one window, or by two in a seam; seams never meet', () => {
    fc.assert(
      fc.property(input, (options) => {
        for (const axis of axesOf(planTiles(options))) {
          let end = 0;
          for (const [i, seam] of axis.seams.entries()) {
            expect(seam.start).toBeGreaterThanOrEqual(end);
            expect(seam.end).toBeGreaterThanOrEqual(seam.start);
            expect(seam.start).toBeGreaterThanOrEqual(axis.starts[i + 1]!);
            expect(seam.end).toBeLessThanOrEqual(axis.starts[i]! + axis.window);
            end = seam.end;
          }
          expect(end).toBeLessThanOrEqual(axis.length);
        }
      }),
    );
  });

  it('lets the cores of `global` partition the grid in 8×8 blocks, each window holding its core and the halo, clipped', () => {
    fc.assert(
      fc.property(input, (options) => {
        const plan = planTiles({ ...options, mode: 'global' });
        for (const axis of axesOf(plan)) {
          const cores = axis.starts.map((_, i) => support(axis, i));
          expect(cores[0]!.start).toBe(0);
          expect(cores.at(-1)!.end).toBe(axis.length);
          for (const [i, { start, end }] of cores.entries()) {
            expect(start % 16).toBe(0);
            expect(end).toBeGreaterThan(start);
            expect(cores[i + 1]?.start ?? axis.length).toBe(end);
            const halo = plan.overlap / 2;
            expect(axis.starts[i]!).toBeLessThanOrEqual(Math.max(0, start - halo));
            expect(axis.starts[i]! + axis.window).toBeGreaterThanOrEqual(Math.min(axis.length, end + halo));
          }
        }
      }),
    );
  });

  it('takes no more windows than the overlap needs', () => {
    const { columns } = planTiles({ width: 1000, height: 100, crop: 128, mode: 'global', tile: 512, overlap: 128 });
    expect(columns.starts).toHaveLength(3);
    // Three windows of 432 do what three of 512 would.
    expect(columns.window).toBe(432);
  });

  it('keeps the tiles of all modes but `whole` within the memory budget', () => {
    fc.assert(
      fc.property(input, fc.integer({ min: 64, max: 2048 }), (options, mebi) => {
        const { tile: _, overlap: __, ...rest } = options;
        const memory = mebi * 1024 * 1024;
        const plan = planTiles({ ...rest, memory, bytesPerPixel: 1000 });
        if (options.mode === 'whole') return;
        const needed = plan.window.width * plan.window.height * 1000;
        expect(needed).toBeLessThanOrEqual(Math.max(64 * 64 * 1000, memory));
      }),
    );
  });

  it.each(Array.from({ length: 61 }, (_, i) => 64 + 16 * i))('lets tiles of %i overlap unless told not to', (tile) => {
    for (const mode of ['local', 'global', 'auto'] as const) {
      const given = { width: 4000, height: 3000, crop: 128, mode, tile };
      const { overlap } = planTiles(given);
      expect(overlap).toBeGreaterThanOrEqual(32);
      expect(overlap).toBeLessThanOrEqual(tile / 2);
      expect(planTiles({ ...given, overlap: 0 }).overlap).toBe(0);
    }
  });

  it('counts the runs of the network', () => {
    const common = { width: 1000, height: 500, crop: 128, tile: 256, overlap: 64 };
    const global = planTiles({ ...common, mode: 'global', passes: 2 });
    expect(global.tiles).toBe(5 * 3);
    expect(global.steps).toBe(1 + 3 * 15);
    expect(planTiles({ ...common, mode: 'local' }).steps).toBe(15);
    expect(planTiles({ ...common, mode: 'whole' }).steps).toBe(1);
  });

  it.each([
    [{ width: 0 }, 'IMAGE_EMPTY'],
    [{ height: 1.5 }, 'IMAGE_EMPTY'],
    [{ passes: 9 }, 'OPTION_INVALID'],
    [{ passes: -1 }, 'OPTION_INVALID'],
    [{ tile: 48 }, 'OPTION_INVALID'],
    [{ tile: 250 }, 'OPTION_INVALID'],
    [{ tile: 128, overlap: 96 }, 'OPTION_INVALID'],
    [{ overlap: 20 }, 'OPTION_INVALID'],
    [{ mode: 'tiles' as 'local' }, 'OPTION_INVALID'],
    [{ memory: 0 }, 'OPTION_INVALID'],
    [{ mode: 'global', thumbnail: 0 }, 'OPTION_INVALID'],
  ])('refuses %o', (wrong, code) => {
    expect(() =>
      planTiles({ width: 100, height: 100, crop: 128, mode: 'local' as const, ...wrong } as PlanInput),
    ).toThrow(expect.objectContaining({ code }));
  });
});

describe('smallerPlan', () => {
  it('halves the windows until they are as small as they get', () => {
    fc.assert(
      fc.property(input, (options) => {
        let plan = planTiles({ ...options, mode: options.mode === 'whole' ? 'auto' : options.mode! });
        for (let halvings = 0; ; halvings++) {
          expect(halvings).toBeLessThan(12);
          const smaller = smallerPlan(plan, options.mode === 'whole' ? { ...options, mode: 'auto' } : options);
          if (!smaller) break;
          const before = Math.max(plan.window.width, plan.window.height);
          expect(Math.max(smaller.window.width, smaller.window.height)).toBeLessThanOrEqual(Math.max(64, before / 2));
          plan = smaller;
        }
        expect(Math.max(plan.window.width, plan.window.height)).toBeLessThanOrEqual(64);
      }),
    );
  });

  it('lets tiles overlap down to the smallest, unless told not to', () => {
    for (const mode of ['local', 'global'] as const) {
      for (let tile = 64; tile <= 1024; tile += 16) {
        const options = { width: 4000, height: 3000, crop: 128, mode, tile };
        for (let plan = smallerPlan(planTiles(options), options); plan; plan = smallerPlan(plan, options)) {
          expect(plan.overlap).toBeGreaterThanOrEqual(32);
        }
      }
    }
  });

  it('leaves `whole` alone when the caller insists on it', () => {
    const options = { width: 4000, height: 4000, crop: 128, mode: 'whole' as const };
    expect(smallerPlan(planTiles(options), options)).toBeUndefined();
  });
});
