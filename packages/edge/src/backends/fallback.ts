import { ElfinError } from '@elfin/core';
import { type Backend, type Made, unrestored, type Work, type WorkContext } from './backend.ts';

/** How an image came to be, or that it could only be made ready and not restored. */
export type Outcome =
  | { readonly state: 'made'; readonly made: Made }
  | { readonly state: 'degraded'; readonly made: Made; readonly reason: string };

/** Whether another backend may do better: the image's own faults, and the end of the work itself, travel along. */
function elsewhere(error: unknown, signal: AbortSignal): boolean {
  if (signal.aborted) return false;
  const code = error instanceof ElfinError ? error.code : '';
  return !code.startsWith('IMAGE_') && code !== 'OPTION_INVALID' && code !== 'ABORTED';
}

/** One word for programs, told in `Restore-Status: degraded; reason=…`. */
function reasonOf(error: unknown): string {
  switch (error instanceof ElfinError ? error.code : 'INTERNAL') {
    case 'REMOTE_BUSY':
    case 'OVERLOADED':
      return 'busy';
    case 'DEADLINE_EXCEEDED':
      return 'late';
    case 'OUT_OF_MEMORY':
      return 'too-large';
    case 'MODEL_UNKNOWN':
      return 'no-model';
    case 'NETWORK_FAILED':
    case 'RUNTIME_UNAVAILABLE':
      return 'no-worker';
    default:
      return 'failed';
  }
}

/**
 * Each backend in turn, one that prefers the image first and those that are down last, and at the end the
 * source, fitted and encoded but not restored. Errors: IMAGE_* and OPTION_INVALID at once; where not even the source can be
 * made ready, the last backend's error.
 */
export function createFallback(backends: readonly Backend[]) {
  async function tryEach(work: Work, context: WorkContext): Promise<Made> {
    const pixels = work.header.width * work.header.height;
    const able = backends.filter((backend) => {
      const { maxPixels, restorePixels = maxPixels, animations } = backend;
      const most = work.options.restore === 'none' ? maxPixels : Math.min(maxPixels, restorePixels);
      return pixels <= most && (animations || work.header.frames === 1);
    });
    const rank = (backend: Backend) => (backend.available() ? (backend.prefers?.(work) ? 0 : 1) : 2);
    const order = able.toSorted((one, other) => rank(one) - rank(other));
    let last: unknown = new ElfinError('RUNTIME_UNAVAILABLE', `No backend takes an image of ${pixels} pixels.`);
    for (const backend of order) {
      try {
        return await backend.make(work, context);
      } catch (error) {
        if (!elsewhere(error, context.signal)) throw error;
        context.metrics.trouble('offload', error instanceof ElfinError ? error.code : 'INTERNAL');
        last = error;
      }
    }
    throw last;
  }

  return {
    /** Makes the image, or the source made ready where nothing can restore it. */
    async make(work: Work, context: WorkContext): Promise<Outcome> {
      try {
        return { state: 'made', made: await tryEach(work, context) };
      } catch (error) {
        if (!elsewhere(error, context.signal) || work.options.restore === 'none') throw error;
        const plain = { ...work, options: unrestored(work.options) };
        const made = await tryEach(plain, context).catch(() => {
          throw error;
        });
        return { state: 'degraded', made, reason: reasonOf(error) };
      }
    },
    /** The image without restoration: what is shown while the real one is being made. */
    ready: (work: Work, context: WorkContext) => tryEach({ ...work, options: unrestored(work.options) }, context),
  };
}

export type Fallback = ReturnType<typeof createFallback>;
