import { applyResidual } from '../residual/apply.ts';
import { createEnlarger } from '../residual/enlarge.ts';
import { isFullSize, keptDepth, type Residual, residualOf } from '../residual/residual.ts';
import { exposureTone } from '../residual/tone.ts';
import type { Finish } from '../tiling/compose.ts';
import type { TilingJob } from '../tiling/job.ts';
import { imageSink, imageSource, type PixelSink, type PixelSource } from '../tiling/pixels.ts';
import { enlargedPreview } from '../tiling/preview.ts';
import { type Progress, runTiles, type TilingReport } from '../tiling/run.ts';
import { shrinkSource } from '../tiling/thumbnail.ts';
import type { RestoreOptions } from './options.ts';
import type { WorkingSize } from './working-size.ts';

/** Share of the progress that the network has, where its result is enlarged afterwards. */
const NETWORK_SHARE = 0.95;

/** A model's run over one picture: what {@link TilingJob} says but for the picture, what goes in, and what is to come out. */
export interface ModelRun {
  readonly source: PixelSource;
  readonly size: WorkingSize;
  /** Session, layout, crop, tiling and limits. */
  readonly job: Omit<TilingJob, 'source' | 'sink' | 'degradation' | 'onProgress' | 'onTile'>;
  readonly onProgress: (progress: Progress) => void;
  readonly onTile?: RestoreOptions['onTile'];
  /** Takes the degradation, at half the source's size. */
  readonly prior?: PixelSink | undefined;
}

/** What is done to restored pixels, by the caller's options. */
export function finishOf({ strength, exposure }: Pick<RestoreOptions, 'strength' | 'exposure'>, task: string): Finish {
  return { strength, tone: task === 'lowlight' ? exposureTone(exposure) : undefined };
}

/** Restores into `sink`: straight where the network sees the picture at its own size, else by way of a residual. */
export async function restoreInto(run: ModelRun, sink: PixelSink, finish: Finish): Promise<TilingReport> {
  const { source, size, job, onProgress, onTile, prior } = run;
  if (isFullSize(source, size))
    return runTiles({ ...job, ...finish, source, sink, degradation: prior, onProgress, onTile });
  const share = (progress: Progress) => onProgress({ ...progress, fraction: NETWORK_SHARE * progress.fraction });
  const { residual, report } = await inferResidual({ ...run, onProgress: share });
  const { runs, plan } = report;
  await applyResidual(residual, source, sink, {
    ...finish,
    signal: job.signal,
    onProgress: (share) =>
      onProgress({
        phase: 'restore',
        tile: runs,
        tiles: Math.max(runs, plan.steps),
        fraction: NETWORK_SHARE + (1 - NETWORK_SHARE) * share,
      }),
  });
  return report;
}

/** Runs the network at its working size and keeps the difference that it makes. */
export async function inferResidual(
  run: ModelRun,
): Promise<{ readonly residual: Residual; readonly report: TilingReport }> {
  const { source, size, job, onProgress, onTile, prior } = run;
  const { width, height } = size;
  const full = isFullSize(source, size);
  const data = await shrinkSource(source, width, height, job.signal);
  const seen = { width, height, channels: 3, data } as const;
  const depth = keptDepth(source, size);
  const sink = imageSink(width, height, depth);
  const found = prior && imageSink(Math.ceil(width / 2), Math.ceil(height / 2), source.bitDepth);
  const report = await runTiles({
    ...job,
    source: imageSource(seen),
    sink,
    keptDepth: depth,
    degradation: found,
    onProgress,
    onTile: onTile && (full ? onTile : (tile) => onTile(enlargedPreview(tile, size, source))),
  });
  if (prior && found) await enlargeInto(found.image, source, prior);
  return { residual: residualOf(source, seen, sink.image.data as typeof data), report };
}

/** A degradation map at half the source's size. */
async function enlargeInto(
  map: ReturnType<typeof imageSink>['image'],
  source: PixelSource,
  prior: PixelSink,
): Promise<void> {
  const [width, height] = [Math.ceil(source.width / 2), Math.ceil(source.height / 2)];
  const most = source.bitDepth === 16 ? 65535 : 255;
  const enlarger = createEnlarger(map, width, height);
  const row = new Float32Array(width * 3);
  for (let y = 0; y < height; y++) {
    enlarger.row(y, row);
    const out = most === 255 ? new Uint8Array(row.length) : new Uint16Array(row.length);
    for (let i = 0; i < row.length; i++) out[i] = Math.min(most, Math.max(0, row[i]! + 0.5));
    await prior.write(0, y, width, 1, out);
  }
}
