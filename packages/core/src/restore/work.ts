import pLimit from 'p-limit';
import { checkInteger, checkNames, invalidOption } from '../base/check.ts';
import { interruptible, throwIfLate } from '../base/deadline.ts';
import { aborted, ElfinError, isElfinError, throwIfAborted } from '../base/errors.ts';
import { loadPart } from '../base/lazy-import.ts';
import type { Tensor } from '../base/tensor.ts';
import { type ModelRef, type ModelSize, type Models, TASKS, type Task } from '../model/models.ts';
import type { StatisticSlot } from '../model/statistics.ts';
import type { Residual } from '../residual/residual.ts';
import type { Backend, Runtime } from '../runtime/runtime.ts';
import type { PixelSink, PixelSource } from '../tiling/pixels.ts';
import { checkTiling, TILING_OPTION_NAMES, type TilingOptions } from '../tiling/plan.ts';
import type { Progress, TilingReport } from '../tiling/run.ts';
import { shrinkSource } from '../tiling/thumbnail.ts';
import {
  CLASSIFY_SIDE,
  type Classification,
  type Classify,
  checkRestoreOptions,
  type RestoreOptions,
} from './options.ts';
import type { WorkReport } from './report.ts';
import { finishOf, inferResidual, type ModelRun, restoreInto } from './run-model.ts';
import { createSessionPool } from './sessions.ts';
import { chooseWorkingSize } from './working-size.ts';

export type { WorkReport } from './report.ts';

export interface WorkshopOptions {
  readonly models: Models;
  readonly runtime: Runtime;
  /** Needed for `task: 'auto'`. */
  readonly classify?: Classify;
  /** Images at once, 1 by default; the others wait. More pays where the runtime is remote. */
  readonly concurrency?: number;
}

/** Where the pixels of one image come from and go to. */
export interface Piece {
  readonly source: PixelSource;
  readonly sink: PixelSink;
  /** Takes the predicted degradation, at half resolution. */
  readonly prior?: PixelSink | undefined;
}

/** What restoring an image from memory and from a file have in common. */
export interface Workshop {
  /**
   * Does `work` once fewer than `concurrency` images are in hand. The signal that it gets also fires when the workshop
   * closes. Errors: DISPOSED, ABORTED, DEADLINE_EXCEEDED, and the work's own.
   */
  inTurn<T>(limits: Pick<RestoreOptions, 'signal' | 'deadline'>, work: (signal: AbortSignal) => Promise<T>): Promise<T>;
  /** What would be done, checked before anything is decoded. Errors: OPTION_INVALID, MODEL_UNKNOWN, MANIFEST_INVALID. */
  plan(options: RestoreOptions): Promise<ModelRef | undefined>;
  restore(piece: Piece, model: ModelRef | undefined, options: RestoreOptions): Promise<WorkReport>;
  /** What {@link Workshop.restore} would add to the picture, kept instead of written; none where `auto` finds nothing. */
  infer(
    piece: Omit<Piece, 'sink'>,
    model: ModelRef | undefined,
    options: RestoreOptions,
  ): Promise<{ readonly residual?: Residual | undefined; readonly report: WorkReport }>;
  warmup(task: Task, model?: ModelSize | ModelRef, signal?: AbortSignal): Promise<Backend>;
  dispose(): Promise<void>;
}

// An image needs at most two: one with its own statistics, one with given ones.
const IDLE_SESSIONS = 4;
const WARMUP_SIDE = 64;

export function createWorkshop({ models, runtime, classify, concurrency = 1 }: WorkshopOptions): Workshop {
  checkInteger('concurrency', concurrency, { min: 1 });
  const queue = pLimit(concurrency);
  const pool = createSessionPool(runtime, IDLE_SESSIONS);
  const closing = new AbortController();
  const layouts = new Map<string, readonly StatisticSlot[]>();
  const inHand = new Set<Promise<unknown>>();

  async function layoutOf({ manifest: { preset } }: ModelRef): Promise<readonly StatisticSlot[]> {
    const layout = layouts.get(preset) ?? (await loadPart(import('../model/network.ts'))).statisticsOf(preset);
    layouts.set(preset, layout);
    return layout;
  }

  async function resolve(task: Task, model: ModelSize | ModelRef = 'lw'): Promise<ModelRef> {
    if (typeof model === 'string') return models.resolve(task, model);
    if (model.manifest.task === task) return model;
    throw new ElfinError(
      'OPTION_INVALID',
      `The model ${model.name} was trained for ${model.manifest.task}; ask for that task or give a model for ${task}.`,
    );
  }

  /** The model: the one that was planned, or the one that the classifier asks for; none where it asks for none. */
  async function decide(source: PixelSource, planned: ModelRef | undefined, options: RestoreOptions): Promise<Choice> {
    throwIfLate(options.deadline);
    if (planned) return { model: planned };
    const classification = await classify!(await thumbnailOf(source, options.signal));
    const { task } = classification;
    return { model: task === 'none' ? undefined : await resolve(task, options.model), classification };
  }

  async function prepare(
    source: PixelSource,
    model: ModelRef,
    options: RestoreOptions,
    onProgress: ModelRun['onProgress'],
  ): Promise<ModelRun> {
    const { signal, deadline, onTile } = options;
    return {
      source,
      size: chooseWorkingSize(source, model.manifest, options.resolution),
      onProgress,
      onTile,
      job: {
        open: (session, keep) => pool.open(model, session, { signal, deadline, keep }),
        crop: model.manifest.crop,
        layout: await layoutOf(model),
        io: runtime.tiles?.io,
        concurrency: runtime.tiles?.inFlight,
        tiling: detailed(options.tiling),
        signal,
        deadline,
      },
    };
  }

  return {
    async inTurn({ signal: given, deadline }, work) {
      if (closing.signal.aborted) throw disposed();
      throwIfAborted(given);
      throwIfLate(deadline);
      const signal = given ? AbortSignal.any([given, closing.signal]) : closing.signal;
      let begin = () => {};
      const begun = new Promise<void>((resolve) => {
        begin = resolve;
      });
      const turn = queue(async () => {
        begin();
        throwIfAborted(signal);
        throwIfLate(deadline);
        return work(signal);
      });
      inHand.add(turn);
      const done = () => inHand.delete(turn);
      turn.then(done, done);
      // Who still waits is let go at once; who is being worked for, only when everything is put away.
      try {
        await interruptible(Promise.race([begun, turn]), { signals: [[signal, aborted]], deadline });
        return await turn;
      } catch (error) {
        const ours = closing.signal.aborted && !given?.aborted;
        throw ours && isElfinError(error) && error.code === 'ABORTED' ? disposed() : error;
      }
    },

    async plan(options) {
      checkRestoreOptions(options);
      const { task, model, exposure = 0 } = options;
      if (exposure !== 0 && task !== 'lowlight' && task !== 'auto')
        throw invalidOption('exposure', `0 for ${task} (it is for lowlight)`, exposure);
      const tiling = detailed(options.tiling);
      if (task === 'auto') {
        // Which model it will be is not known yet, nor what is too much overlap for it.
        checkTiling(tiling, Number.POSITIVE_INFINITY);
        if (classify) return undefined;
        throw new ElfinError(
          'OPTION_INVALID',
          `task "auto" needs a classifier, and this restorer has none; choose ${TASKS.join(', ')}.`,
        );
      }
      checkTask(task);
      const found = await resolve(task, model);
      checkTiling(tiling, found.manifest.crop);
      return found;
    },

    async restore({ source, sink, prior }, planned, options) {
      const report = monotonic(options.onProgress);
      const chosen = await decide(source, planned, options);
      if (!chosen.model) {
        await copy(source, sink, options.signal);
        report({ phase: 'restore', tile: 0, tiles: 0, fraction: 1 });
        return { task: 'none', classification: chosen.classification! };
      }
      const run = await prepare(source, chosen.model, options, report);
      const done = await restoreInto({ ...run, prior }, sink, finishOf(options, chosen.model.manifest.task));
      return describe(chosen, run, done);
    },

    async infer({ source, prior }, planned, options) {
      const report = monotonic(options.onProgress);
      const chosen = await decide(source, planned, options);
      if (!chosen.model) {
        report({ phase: 'restore', tile: 0, tiles: 0, fraction: 1 });
        return { report: { task: 'none', classification: chosen.classification! } };
      }
      const run = await prepare(source, chosen.model, options, report);
      const { residual, report: done } = await inferResidual({ ...run, prior });
      return { residual, report: describe(chosen, run, done) };
    },

    async warmup(task, model, signal) {
      checkTask(task);
      const ref = await resolve(task, model);
      const io = runtime.tiles?.io ?? 'float';
      const session = await pool.open(ref, { io, statistics: 'own', quadrants: 'own' }, { signal });
      try {
        const [side, size] = [WARMUP_SIDE, 3 * WARMUP_SIDE ** 2];
        const image: Tensor =
          io === 'uint8'
            ? { type: 'uint8', shape: [1, side, side, 3], data: new Uint8Array(size) }
            : { type: 'float32', shape: [1, 3, side, side], data: new Float32Array(size) };
        await session.run({ image }, signal ? { signal } : {});
        return session.backend;
      } finally {
        await session.dispose();
      }
    },

    async dispose() {
      closing.abort();
      await Promise.allSettled(inHand);
      await pool.dispose();
    },
  };
}

/** What was decided of a picture. */
interface Choice {
  readonly model: ModelRef | undefined;
  readonly classification?: Classification | undefined;
}

function describe({ model, classification }: Choice, { size }: ModelRun, done: TilingReport): WorkReport {
  const { name, digest, manifest } = model!;
  const { plan, backend, runs, halvings } = done;
  const { mode: tiling, window, overlap, tiles, passes } = plan;
  const task = manifest.task;
  const what = { task, model: name, digest, backend, resolution: size };
  return { ...what, tiling, window, overlap, tiles, passes, runs, halvings, ...(classification && { classification }) };
}

function detailed(tiling: RestoreOptions['tiling']): TilingOptions {
  if (typeof tiling === 'object') checkNames('tiling', tiling, TILING_OPTION_NAMES);
  return typeof tiling === 'string' ? { mode: tiling } : (tiling ?? {});
}

function checkTask(task: string): void {
  if ((TASKS as readonly string[]).includes(task)) return;
  throw invalidOption('task', `one of ${TASKS.join(', ')} or auto`, task);
}

function disposed(): ElfinError {
  return new ElfinError('DISPOSED', 'The restorer is disposed; make a new one.');
}

/** Keeps the promise of {@link RestoreOptions.onProgress} over all phases, whatever each of them reports. */
function monotonic(onProgress: RestoreOptions['onProgress']): (progress: Progress) => void {
  let most = 0;
  return (progress) => {
    most = Math.max(most, progress.fraction);
    onProgress?.({ ...progress, fraction: most });
  };
}

export async function thumbnailOf(source: PixelSource, signal?: AbortSignal) {
  const scale = Math.min(1, CLASSIFY_SIDE / Math.max(source.width, source.height));
  const width = Math.max(1, Math.round(source.width * scale));
  const height = Math.max(1, Math.round(source.height * scale));
  return { width, height, channels: 3, data: await shrinkSource(source, width, height, signal) } as const;
}

const ROWS_AT_ONCE = 256;

async function copy(source: PixelSource, sink: PixelSink, signal?: AbortSignal): Promise<void> {
  const { width, height } = source;
  for (let y = 0; y < height; y += ROWS_AT_ONCE) {
    throwIfAborted(signal);
    const rows = Math.min(ROWS_AT_ONCE, height - y);
    await sink.write(0, y, width, rows, await source.read(0, y, width, rows, signal));
  }
}
