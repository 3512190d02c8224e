import { checkInteger, checkNames, invalidOption } from '../base/check.ts';
import { throwIfLate } from '../base/deadline.ts';
import { aborted, ElfinError, isElfinError, throwIfAborted } from '../base/errors.ts';
import { loadPart } from '../base/lazy-import.ts';
import { createLimiter, type Limiter } from '../base/limiter.ts';
import type { Tensor } from '../base/tensor.ts';
import type { PresetName } from '../model/manifest.ts';
import { type ModelRef, type ModelSize, type Models, TASKS, type Task } from '../model/models.ts';
import type { StatisticSlot } from '../model/statistics.ts';
import type { Residual } from '../residual/residual.ts';
import type { Backend, Runtime } from '../runtime/runtime.ts';
import { createSessionPool, type SessionPool } from '../runtime/session-pool.ts';
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
import { chooseWorkingSize } from './working-size.ts';

/** What a restoration works with. */
export interface RestoreEngineOptions {
  readonly models: Models;
  readonly runtime: Runtime;
  /** Needed for `task: 'auto'`. */
  readonly classify?: Classify | undefined;
  /** Images at once, 1 by default; the others wait. More pays where the runtime is remote. */
  readonly concurrency?: number | undefined;
}

/** Where the pixels of one image come from and go to. */
export interface ImageIO {
  readonly source: PixelSource;
  readonly sink: PixelSink;
  /** Takes the predicted degradation, at half resolution. */
  readonly prior?: PixelSink | undefined;
}

// An image needs at most two: one with its own statistics, one with given ones.
const IDLE_SESSIONS = 4;
const WARMUP_SIDE = 64;

/** What restoring an image from memory and from a file have in common: slots, models, sessions kept. Errors: OPTION_INVALID. */
export class RestoreEngine {
  readonly #deps: RestoreEngineOptions;
  readonly #slots: Limiter;
  readonly #sessions: SessionPool;
  readonly #closing = new AbortController();
  readonly #layouts = new Map<string, readonly StatisticSlot[]>();
  readonly #working = new Set<Promise<unknown>>();

  constructor(deps: RestoreEngineOptions) {
    const { runtime, concurrency = 1 } = deps;
    checkInteger('concurrency', concurrency, { min: 1 });
    this.#deps = deps;
    this.#slots = createLimiter(concurrency);
    this.#sessions = createSessionPool(runtime, { keep: IDLE_SESSIONS });
  }

  /**
   * Does `work` once fewer than `concurrency` images are in hand. The signal that it gets also fires when the engine closes.
   * Who still waits is let go at once; who is being worked for, only when everything is put away.
   * Errors: DISPOSED, ABORTED, DEADLINE_EXCEEDED, and the work's own.
   */
  async withSlot<T>(
    { signal: given, deadline }: Pick<RestoreOptions, 'signal' | 'deadline'>,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const closing = this.#closing.signal;
    if (closing.aborted) throw disposed();
    throwIfAborted(given);
    throwIfLate(deadline);
    const signal = given ? AbortSignal.any([given, closing]) : closing;
    const result = this.#slots.runUnless({ signals: [[signal, aborted]], deadline }, async () => {
      throwIfAborted(signal);
      throwIfLate(deadline);
      return work(signal);
    });
    this.#working.add(result);
    try {
      return await result;
    } catch (error) {
      const ours = closing.aborted && !given?.aborted;
      throw ours && isElfinError(error) && error.code === 'ABORTED' ? disposed() : error;
    } finally {
      this.#working.delete(result);
    }
  }

  /**
   * The model that will be used, undefined where the classifier is to say, and a check of all options before anything is decoded.
   * Errors: OPTION_INVALID, MODEL_UNKNOWN, MANIFEST_INVALID.
   */
  async resolveModel(options: RestoreOptions): Promise<ModelRef | undefined> {
    checkRestoreOptions(options);
    const { task, model, exposure = 0 } = options;
    if (exposure !== 0 && task !== 'lowlight' && task !== 'auto')
      throw invalidOption('exposure', `0 for ${task} (it is for lowlight)`, exposure);
    const tiling = detailed(options.tiling);
    if (task === 'auto') {
      // Which model it will be is not known yet, nor what is too much overlap for it.
      checkTiling(tiling, Number.POSITIVE_INFINITY);
      if (this.#deps.classify) return undefined;
      throw new ElfinError(
        'OPTION_INVALID',
        `task "auto" needs a classifier, and this restorer has none; choose ${TASKS.join(', ')}.`,
      );
    }
    checkTask(task);
    const found = await this.#modelFor(task, model);
    checkTiling(tiling, found.manifest.crop);
    return found;
  }

  /** Restores a picture into its sink; copies it where `auto` finds nothing. */
  async restore(io: ImageIO, model: ModelRef | undefined, options: RestoreOptions): Promise<WorkReport> {
    const onProgress = monotonic(options.onProgress);
    const choice = await this.#choose(io.source, model, options);
    if (!choice.model) {
      await copy(io.source, io.sink, options.signal);
      return untouched(choice, onProgress);
    }
    const run = await this.#prepare(io, choice.model, options, onProgress);
    const done = await restoreInto(run, io.sink, finishOf(options, choice.model.manifest.task));
    return describe(choice.model, choice, run, done);
  }

  /** What {@link RestoreEngine.restore} would add to the picture, kept instead of written; nothing where `auto` finds nothing. */
  async infer(
    io: Omit<ImageIO, 'sink'>,
    model: ModelRef | undefined,
    options: RestoreOptions,
  ): Promise<{ readonly residual?: Residual | undefined; readonly report: WorkReport }> {
    const onProgress = monotonic(options.onProgress);
    const choice = await this.#choose(io.source, model, options);
    if (!choice.model) return { report: untouched(choice, onProgress) };
    const run = await this.#prepare(io, choice.model, options, onProgress);
    const { residual, report } = await inferResidual(run);
    return { residual, report: describe(choice.model, choice, run, report) };
  }

  /** Opens a model and runs it once; tells what it runs on. */
  async warmup(task: Task, model?: ModelSize | ModelRef, signal?: AbortSignal): Promise<Backend> {
    checkTask(task);
    const ref = await this.#modelFor(task, model);
    const io = this.#deps.runtime.tiles?.io ?? 'float';
    const wanted = { io, statistics: 'own', quadrants: 'own' } as const;
    await using session = await this.#sessions.acquire(ref, wanted, { signal });
    const [side, size] = [WARMUP_SIDE, 3 * WARMUP_SIDE ** 2];
    const image: Tensor =
      io === 'uint8'
        ? { type: 'uint8', shape: [1, side, side, 3], data: new Uint8Array(size) }
        : { type: 'float32', shape: [1, 3, side, side], data: new Float32Array(size) };
    await session.run({ image }, signal ? { signal } : {});
    return session.backend;
  }

  async dispose(): Promise<void> {
    this.#closing.abort();
    await Promise.allSettled(this.#working);
    await this.#sessions.dispose();
  }

  async #modelFor(task: Task, model: ModelSize | ModelRef = 'lw'): Promise<ModelRef> {
    if (typeof model === 'string') return this.#deps.models.resolve(task, model);
    if (model.manifest.task === task) return model;
    throw new ElfinError(
      'OPTION_INVALID',
      `The model ${model.name} was trained for ${model.manifest.task}; ask for that task or give a model for ${task}.`,
    );
  }

  /** The model that was resolved, or the one that the classifier asks for; none where it asks for none. */
  async #choose(source: PixelSource, resolved: ModelRef | undefined, options: RestoreOptions): Promise<Choice> {
    throwIfLate(options.deadline);
    if (resolved) return { model: resolved };
    const classification = await this.#deps.classify!(await thumbnailOf(source, options.signal));
    const { task } = classification;
    const model = task === 'none' ? undefined : await this.#modelFor(task, options.model);
    return { model, classification };
  }

  async #prepare(
    { source, prior }: Omit<ImageIO, 'sink'>,
    model: ModelRef,
    options: RestoreOptions,
    onProgress: ModelRun['onProgress'],
  ): Promise<ModelRun> {
    const { signal, deadline, onTile } = options;
    const { tiles } = this.#deps.runtime;
    return {
      source,
      prior,
      size: chooseWorkingSize(source, model.manifest, options.resolution),
      onProgress,
      onTile,
      job: {
        open: (session, keep) => this.#sessions.acquire(model, session, { signal, deadline, keep }),
        crop: model.manifest.crop,
        layout: await this.#layoutOf(model.manifest.preset),
        io: tiles?.io,
        concurrency: tiles?.inFlight,
        tiling: detailed(options.tiling),
        signal,
        deadline,
      },
    };
  }

  async #layoutOf(preset: PresetName): Promise<readonly StatisticSlot[]> {
    const layout = this.#layouts.get(preset) ?? (await loadPart(import('../model/network.ts'))).statisticsOf(preset);
    this.#layouts.set(preset, layout);
    return layout;
  }
}

/** What was decided of a picture. */
interface Choice {
  readonly model: ModelRef | undefined;
  readonly classification?: Classification | undefined;
}

function untouched({ classification }: Choice, onProgress: ModelRun['onProgress']): WorkReport {
  onProgress({ phase: 'restore', tile: 0, tiles: 0, fraction: 1 });
  return { task: 'none', classification: classification! };
}

function describe(
  { name, digest, manifest }: ModelRef,
  { classification }: Choice,
  { size }: ModelRun,
  done: TilingReport,
): WorkReport {
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
