import { throwIfLate } from '../base/deadline.ts';
import { isElfinError, throwIfAborted } from '../base/errors.ts';
import type { Backend, Feeds, Outputs, Session, SessionOptions } from '../runtime/runtime.ts';
import { firstRow, type Unfinished } from './assemble.ts';
import { coreMask, cutImage, cutQuadrants, type Io, planesOf, type Tile, tilesOf } from './feeds.ts';
import type { Phase, TilingJob } from './job.ts';
import { createOutput, createPriorOutput, degradation } from './output.ts';
import { pipeline } from './pipeline.ts';
import { imageSource } from './pixels.ts';
import { type Plan, planTiles } from './plan.ts';
import { previewTile } from './preview.ts';
import { createStatisticsTotal } from './statistics.ts';
import { shrinkSource } from './thumbnail.ts';

/** What outlives an attempt that ran out of memory, for the next one to go on from. */
export interface State {
  means?: Float32Array;
  /** Statistics sweeps that `means` has behind it. */
  sweeps: number;
  restored: readonly Unfinished[];
  prior: readonly Unfinished[];
  /** Runs of the network whose results were taken, those of broken sweeps included. */
  runs: number;
  fraction: number;
  /** The runtime's own OUT_OF_MEMORY errors. */
  readonly exhausted: WeakSet<Error>;
}

/** From here on opening the thumbnail's graph anew for the next image costs little beside this one, and its memory counts. */
const MANY_TILES = 16;

/** Carries a plan out, from where `state` stands. Errors: as `runTiles`. */
export async function attempt(job: TilingJob, plan: Plan, state: State): Promise<Backend> {
  const { source, layout, concurrency = 1 } = job;
  const { width, height } = plan.window;
  const shape = plan.uniform ? { shape: { batch: 1, height, width } } : {};
  // Bytes are the picture itself only where it has 8 bits.
  const io = source.bitDepth === 8 ? (job.io ?? 'float') : 'float';
  const own = { io, statistics: 'own', quadrants: 'own' } as const;
  const report = reporter(job, plan, state);

  if (plan.mode !== 'global') {
    const feeds = (tile: Tile) => cutImage(source, plan, tile, io, job.signal);
    report('restore', 0);
    return withSession(job, state, { ...own, ...shape }, (session) =>
      restore(job, plan, state, session, feeds, report),
    );
  }

  report('statistics', 0);
  if (!state.means) {
    const means = (session: Session) => firstMeans(job, plan, state, session, io);
    state.means = await withSession(job, state, own, means, plan.tiles < MANY_TILES);
    report('statistics', 1);
  }
  return withSession(job, state, { io, statistics: 'given', quadrants: 'given', ...shape }, async (session) => {
    const feeds = async (tile: Tile): Promise<Feeds> => ({
      ...(await cutImage(source, plan, tile, io, job.signal)),
      quadrants: await cutQuadrants(source, plan, tile, io, job.signal),
      statistics: { type: 'float32', shape: [1, state.means!.length], data: state.means! },
      core: coreMask(plan, tile, io),
    });
    for (; state.sweeps < plan.passes; state.sweeps++) {
      const total = createStatisticsTotal(layout);
      const run = async (tile: Tile, cancel: AbortSignal) =>
        runOnce(job, state, session, await feeds(tile), ['sums'], cancel);
      await pipeline(tilesOf(plan), concurrency, run, (_, { sums }) => {
        total.add(sums?.data ?? []);
        report('statistics', 1);
      });
      state.means = total.means(plan.padded.height / 2, plan.padded.width / 2);
    }
    return restore(job, plan, state, session, feeds, report);
  });
}

/** The statistics of the image made small enough for one window. */
async function firstMeans(job: TilingJob, plan: Plan, state: State, session: Session, io: Io): Promise<Float32Array> {
  const { width, height } = plan.thumbnail!;
  const data = await shrinkSource(job.source, width, height, job.signal);
  const whole = planTiles({ width, height, crop: job.crop, mode: 'whole' });
  const feeds = await cutImage(imageSource({ width, height, channels: 3, data }), whole, { column: 0, row: 0 }, io);
  const { sums } = await runOnce(job, state, session, feeds, ['sums']);
  const total = createStatisticsTotal(job.layout);
  total.add(sums?.data ?? []);
  return total.means(whole.padded.height / 2, whole.padded.width / 2);
}

async function restore(
  job: TilingJob,
  plan: Plan,
  state: State,
  session: Session,
  feeds: (tile: Tile) => Promise<Feeds>,
  report: (phase: Phase, runs: number) => void,
): Promise<Backend> {
  const { source, sink, strength, tone, keptDepth, signal, concurrency = 1 } = job;
  const common = { source, plan, signal };
  const output = createOutput({ ...common, sink, strength, tone, keptDepth, resume: state.restored });
  const prior = job.degradation && createPriorOutput({ ...common, sink: job.degradation, resume: state.prior });
  const outputs = prior ? ['restored', 'background'] : ['restored'];
  const run = async (tile: Tile, cancel: AbortSignal) => {
    const fed = await feeds(tile);
    const { restored, background } = await runOnce(job, state, session, fed, outputs, cancel);
    const { width, height } = plan.window;
    return {
      restored: planesOf(restored),
      ...(prior && { found: degradation(planesOf(fed.image), planesOf(background), width / 2, height / 2) }),
    };
  };
  try {
    await pipeline(
      tilesOf(plan, firstRow(plan.rows, state.restored)),
      concurrency,
      run,
      async (tile, { restored, found }) => {
        await output.add(tile, restored);
        if (prior && found) await prior.add(tile, found);
        const preview = job.onTile && previewTile(plan, tile, restored);
        if (preview) job.onTile?.(preview);
        report('restore', 1);
      },
    );
  } finally {
    state.restored = output.unfinished();
    if (prior) state.prior = prior.unfinished();
  }
  return session.backend;
}

async function withSession<T>(
  job: TilingJob,
  state: State,
  options: SessionOptions,
  use: (session: Session) => Promise<T>,
  keep = true,
): Promise<T> {
  throwIfAborted(job.signal);
  const session = await job.open(options, keep).catch((error) => noteExhaustion(state, error));
  try {
    return await use(session);
  } finally {
    await session.dispose();
  }
}

async function runOnce(
  job: TilingJob,
  state: State,
  session: Session,
  feeds: Feeds,
  outputs: readonly string[],
  cancel?: AbortSignal,
): Promise<Outputs> {
  const { deadline } = job;
  const signals = [job.signal, cancel].filter((signal) => signal !== undefined);
  throwIfAborted(job.signal);
  throwIfLate(deadline);
  const limits = { signal: AbortSignal.any(signals), ...(deadline !== undefined && { deadline }) };
  return session.run(feeds, { ...limits, outputs }).catch((error) => noteExhaustion(state, error));
}

function noteExhaustion(state: State, error: unknown): never {
  if (isElfinError(error) && error.code === 'OUT_OF_MEMORY') state.exhausted.add(error);
  throw error;
}

function reporter({ onProgress }: TilingJob, plan: Plan, state: State): (phase: Phase, runs: number) => void {
  const gone = firstRow(plan.rows, state.restored) * plan.columns.starts.length;
  const done = state.means ? 1 + state.sweeps * plan.tiles + gone : gone;
  const tiles = state.runs + plan.steps - done;
  return (phase, runs) => {
    state.runs += runs;
    state.fraction = Math.max(state.fraction, state.runs / tiles);
    onProgress?.({ phase, tile: state.runs, tiles, fraction: state.fraction });
  };
}
