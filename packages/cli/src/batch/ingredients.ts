import { type ModelRef, type Models, RESULT_VERSION, TASKS, type Task } from '@elfin/core';
import type { EncodedOptions } from '@elfin/core/node';

/** Everything beside the source that decides a result's bytes: options, the digests of the weights, and elfin's own arithmetic. */
export async function ingredientsOf(options: EncodedOptions, models: Models): Promise<unknown> {
  const { model = 'lw', signal, onProgress, onTile, directory, limits, ...rest } = options;
  const tasks: readonly Task[] = options.task === 'auto' ? TASKS : [options.task];
  const weights: ModelRef[] =
    typeof model === 'string' ? await Promise.all(tasks.map((task) => models.resolve(task, model))) : [model];
  return { version: RESULT_VERSION, weights: weights.map(({ digest }) => digest), ...rest };
}
