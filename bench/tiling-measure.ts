import type { ModelRef, PixelImage, Runtime, SessionOptions } from '@elfin/core';
import { describeElf } from '@elfin/core';
import { psnr, seamStrength } from '@elfin/core/metrics';
import type { Axis, Plan, TilingOptions } from '@elfin/core/tiling';
import { imageSink, imageSource, runTiles } from '@elfin/core/tiling';

const local = (tile: number, overlap: number): TilingOptions => ({ mode: 'local', tile, overlap });
const fitted = (overlap: number): TilingOptions => ({ mode: 'local', overlap });
const global = (passes: number): TilingOptions => ({ mode: 'global', tile: 512, overlap: 96, passes });

/** The ways of tiling that are compared. */
export const WAYS: Readonly<Record<string, TilingOptions>> = {
  whole: { mode: 'whole' },
  'local 128/0': local(128, 0),
  'local 128/64': local(128, 64),
  'local 256/64': local(256, 64),
  'local 256/128': local(256, 128),
  'local 512/128': local(512, 128),
  'local fitted/32': fitted(32),
  'local fitted/64': fitted(64),
  'local fitted/128': fitted(128),
  'global 512/96 ×0': global(0),
  'global 512/96 ×1': global(1),
  'global 512/96 ×2': global(2),
  'global 512/96 ×3': global(3),
};

/** One photo in one way; PSNR on Y. */
export interface Figures {
  readonly psnr: number;
  /** To the whole image's output. */
  readonly toWhole?: number;
  readonly seam?: number;
  /** The seam figure of the whole image's output at the same lines: what the picture itself has there. */
  readonly seamOfWhole?: number;
  /** Pixels that went through the network, over those of the photo. */
  readonly work?: number;
}

export interface Measurer {
  measure(
    degraded: PixelImage,
    clean: PixelImage,
    way: string,
    whole?: PixelImage,
  ): Promise<Figures & { readonly image: PixelImage }>;
  dispose(): Promise<void>;
}

/** Restores photos with one model, its sessions held open in between. */
export async function createMeasurer(model: ModelRef, runtime: Runtime): Promise<Measurer> {
  const open = (options: SessionOptions) => runtime.open(model, options);
  const held = [
    await open({ io: 'float', statistics: 'own', quadrants: 'own' }),
    await open({ io: 'float', statistics: 'given', quadrants: 'given' }),
  ];
  const layout = describeElf(model.manifest.preset).statistics;
  return {
    async measure(degraded, clean, way, whole) {
      const { image, ...sink } = imageSink(degraded.width, degraded.height, 8);
      const job = { source: imageSource(degraded), sink, open, crop: model.manifest.crop, layout };
      const { plan, runs } = await runTiles({ ...job, tiling: WAYS[way]! });
      const lines = { columns: bordersOf(plan.columns), rows: bordersOf(plan.rows) };
      const figures = { image, psnr: psnr(image, clean), work: workOf(plan, runs) };
      if (lines.columns.length + lines.rows.length === 0) return figures;
      return {
        ...figures,
        seam: seamStrength(image, lines),
        ...(whole && { toWhole: psnr(image, whole), seamOfWhole: seamStrength(whole, lines) }),
      };
    },
    async dispose() {
      for (const session of held) await session.dispose();
    },
  };
}

/** Where one window's say begins, where the other's ends, and the middle between. */
function bordersOf({ seams }: Axis): number[] {
  return seams.flatMap(({ start, end }) => [start, (start + end) / 2, end]);
}

function workOf({ width, height, window, thumbnail }: Plan, runs: number): number {
  const small = thumbnail ? thumbnail.width * thumbnail.height : 0;
  return ((runs - (thumbnail ? 1 : 0)) * window.width * window.height + small) / (width * height);
}
