import { checkInteger, invalidOption } from '../base/check.ts';
import { ElfinError, isElfinError } from '../base/errors.ts';
import type { Backend } from '../runtime/runtime.ts';
import type { TilingJob } from './job.ts';
import { attempt, type State } from './passes.ts';
import { type Plan, type PlanInput, planTiles, smallerPlan } from './plan.ts';

export type { Phase, Progress, TilingJob } from './job.ts';
export type { TilePreview } from './preview.ts';

/** What was done. */
export interface TilingReport {
  readonly plan: Plan;
  readonly backend: Backend;
  /** Runs of the network, repeated ones included. */
  readonly runs: number;
  /** How often the tiles were halved because memory ran out. */
  readonly halvings: number;
}

/**
 * Restores an image tile by tile. Besides source and sink it holds one row of windows in float32 and the tiles in
 * flight, whatever the image's size (`whole` excepted: there the window is the image).
 * When the runtime runs out of memory the tiles are halved and the work goes on at the first row that is not written.
 * Errors: OPTION_INVALID, ABORTED, DEADLINE_EXCEEDED, OUT_OF_MEMORY, and what session, source and sink throw. By then no run
 * is begun any more and every session is given back; a graph under way in this process ends behind it, as ONNX Runtime cannot be
 * stopped in the middle of one. Rows that were written stay written.
 */
export async function runTiles(job: TilingJob): Promise<TilingReport> {
  const { source, strength = 1, concurrency = 1, bytesPerPixel } = job;
  if (!(strength >= 0 && strength <= 1)) throw invalidOption('strength', 'a number from 0 to 1', strength);
  checkInteger('concurrency', concurrency, { min: 1 });
  const input: PlanInput = {
    ...job.tiling,
    width: source.width,
    height: source.height,
    crop: job.crop,
    bytesPerPixel,
  };
  const state: State = { sweeps: 0, restored: [], prior: [], runs: 0, fraction: 0, exhausted: new WeakSet() };
  let plan = planTiles(input);
  for (let halvings = 0; ; halvings++) {
    try {
      const backend = await attempt(job, plan, state);
      return { plan, backend, runs: state.runs, halvings };
    } catch (error) {
      // Only the runtime's own lack of memory is mended by smaller windows; a sink's or a source's is not.
      if (!isElfinError(error) || !state.exhausted.has(error)) throw error;
      const smaller = smallerPlan(plan, input);
      if (!smaller) throw outOfMemory(plan, error);
      plan = smaller;
    }
  }
}

function outOfMemory({ mode, window }: Plan, cause: ElfinError): ElfinError {
  const advice =
    mode === 'whole' ? 'let it be tiled (tiling auto, local or global)' : 'free memory, or use the lighter model';
  return new ElfinError(
    'OUT_OF_MEMORY',
    `The runtime ran out of memory with a window of ${window.width}×${window.height} pixels; ${advice}.`,
    { cause, data: { mode, width: window.width, height: window.height } },
  );
}
