import type { ModelRef } from '../model/models.ts';
import type { SessionOptions } from './runtime.ts';

/** Equal for sessions over the same graph, whoever opens them. */
export function sessionKey(model: ModelRef, { io, statistics, quadrants, shape }: SessionOptions): string {
  return JSON.stringify([model.digest, model.manifest.preset, io, statistics, quadrants, shape]);
}
