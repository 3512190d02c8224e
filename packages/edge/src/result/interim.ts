import type { WorkContext } from '../backends/backend.ts';
import type { Plan } from '../url/transform.ts';
import { checkSource } from './fit-limit.ts';
import type { Interim, PipelineOptions, RunContext } from './pipeline.ts';
import { toResult, toWork } from './restoration.ts';
import { unexpectedNotModified } from './source-reader.ts';
import { deadlineSignal } from './waiting.ts';

/**
 * The source in a result's size and format, not restored. Of what is being read for the result already it takes that; an origin
 * that hangs keeps nobody's lane. `fetchMs`: how long the source may take. Errors: SOURCE_*, IMAGE_*, OVERLOADED, the reason of the signal.
 */
export async function makeInterim(
  options: PipelineOptions,
  plan: Plan,
  context: RunContext,
  fetchMs: number,
): Promise<Interim> {
  const { sources, codec, codecLane, fallback, caps } = options;
  codecLane.check();
  const reading = { ...context, signal: deadlineSignal(fetchMs, context.signal) };
  const fetched = await sources.fetch(plan.source, reading, { urgent: true });
  if (fetched === 'same') throw unexpectedNotModified();
  try {
    checkSource(fetched.header, plan, caps);
    const work = toWork(plan, fetched, codec);
    const task: WorkContext = { ...context, codecLane, onProgress: () => undefined };
    const made = await fallback.ready(work, task);
    return { state: 'pending', reason: 'pending', result: toResult(fetched, work.options, made) };
  } finally {
    fetched.release();
  }
}
