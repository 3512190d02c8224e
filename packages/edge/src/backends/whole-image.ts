import { type Codec, type Models, planFit, type ResultOptions, resultModels, TASKS } from '@elfin/core';
import { type Endpoints, restoreWholeImage } from '@elfin/core/remote';
import { timed } from '../http/metrics.ts';
import type { Place } from './backend.ts';

export interface WorkerPlaceOptions {
  /** A pool of workers: `createRemoteRuntime({ endpoints }).endpoints`. */
  readonly endpoints: Endpoints;
  /** Only its probe is used: a worker's answer is looked at before it is believed. */
  readonly codec: Pick<Codec, 'probe'>;
  /** Whose weights alone may restore; any worker's own where it is missing. */
  readonly models?: Models;
  readonly name?: string;
  readonly maxPixels?: number;
  /** Most bytes of an answer. Default 64 MiB. */
  readonly maxBytes?: number;
}

/**
 * A pool of workers that take whole encoded images (`POST /restore?o=<canonical options>`) and give whole encoded images
 * back. Retries on other workers are the pool's; an answer of another format, other sides or by other weights than asked
 * for counts as the worker's failure and is never shown. Errors: IMAGE_*, NETWORK_FAILED, REMOTE_BUSY, REMOTE_PROTOCOL, MODEL_UNKNOWN.
 */
export function createWorkerPlace(options: WorkerPlaceOptions): Place {
  const { endpoints, codec, models, name = 'worker', maxPixels = 50_000_000, maxBytes = 64 * 1024 * 1024 } = options;
  return {
    name,
    maxPixels,
    animations: false,
    available: () => endpoints.state().some(({ breaker }) => breaker !== 'open'),
    make({ bytes, options: wanted, header }, context) {
      const { width, height } = planFit(header, wanted);
      return timed('offload', context, async () => {
        const { signal, deadline, traceparent } = context;
        const digests = models && (await resultModels(models, wanted));
        const answer = await restoreWholeImage(endpoints, {
          bytes,
          options: wanted,
          codec,
          size: { width, height },
          maxBytes,
          signal,
          deadline,
          traceparent,
          ...(digests && { models: digests }),
        });
        const made = { bytes: answer.bytes, width, height };
        if (wanted.restore === 'none') return made;
        return {
          ...made,
          restored: { ...(await usedModel(models, wanted, answer.digest)), by: name, provider: 'remote' },
        };
      });
    },
  };
}

/** What a digest names: `auto` leaves the task to the worker, which may also find nothing to restore. */
async function usedModel(models: Models | undefined, { restore, model = 'lw' }: ResultOptions, digest = '') {
  if (digest === '') return { task: 'none', model: 'none', digest };
  for (const task of restore === 'auto' || restore === 'none' ? TASKS : [restore]) {
    const known = await models?.resolve(task, model).catch(() => undefined);
    if (known?.digest === digest) return { task, model: known.name, digest };
  }
  return { task: restore, model, digest };
}
