import type { WorkContext } from '@elfin/edge';
import { NO_METRICS } from '@elfin/edge';

/** What a backend is told, for one image at a time and nobody waiting. */
export function workContext(overrides: Partial<WorkContext> = {}): WorkContext {
  return {
    signal: new AbortController().signal,
    deadline: Date.now() + 60_000,
    traceparent: '',
    metrics: NO_METRICS,
    spans: new Map(),
    onProgress: () => undefined,
    codecLane: { run: (work) => work({ waited: 0 }), check() {}, eta: () => undefined, queued: 0, running: 0 },
    ...overrides,
  };
}
