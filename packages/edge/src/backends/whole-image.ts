import { type Codec, type Models, planFit, type ResultOptions, resultModels, TASKS } from '@elfin/core';
import { type Endpoints, restoreWholeImage } from '@elfin/core/remote';
import { timed } from '../http/metrics.ts';
import { restoredOptions } from '../result/restoration.ts';
import type { Backend, Made, RestoredFacts, RestoredPicture, Work, WorkContext } from './backend.ts';
import { codecLane, decode, finish } from './local.ts';

export interface WorkerBackendOptions {
  /** A pool of workers: `createRemoteRuntime({ endpoints }).endpoints`. */
  readonly endpoints: Endpoints;
  /** Only its probe is used: a worker's answer is looked at before it is believed. */
  readonly codec: Pick<Codec, 'probe'>;
  /** Whose weights alone may restore; any worker's own where it is missing. */
  readonly models?: Models | undefined;
  readonly name?: string;
  readonly maxPixels?: number;
  /** Most bytes of an answer. Default 64 MiB. */
  readonly maxBytes?: number;
  /**
   * Takes photos of up to so many pixels as whole restored pictures, from which this process then makes every size and format;
   * without it, or above, each result is a restoration of its own.
   */
  readonly pictures?: { readonly codec: Codec; readonly maxPixels: number } | undefined;
}

/**
 * A pool of workers that take whole encoded images (`POST /restore?o=<canonical options>`) and give whole encoded images
 * back. Retries on other workers are the pool's; an answer of another format, other sides or by other weights than asked
 * for counts as the worker's failure and is never shown. Errors: IMAGE_*, NETWORK_FAILED, REMOTE_BUSY, REMOTE_PROTOCOL, MODEL_UNKNOWN.
 */
export function createWorkerBackend(options: WorkerBackendOptions): Backend {
  const { endpoints, codec, models, name = 'worker', maxPixels = 50_000_000, pictures } = options;
  const { maxBytes = 64 * 1024 * 1024 } = options;
  return {
    name,
    maxPixels,
    animations: false,
    available: () => endpoints.state().some(({ breaker }) => breaker !== 'open'),
    async make(work, context) {
      const { options: wanted, header } = work;
      const size = planFit(header, wanted);
      const whole = pictures && wanted.restore !== 'none' && header.width * header.height <= pictures.maxPixels;
      if (!whole) return ask(work, wanted, size, context);
      // The whole picture without loss, instead of the one result: all other sizes and formats of it are made here.
      const answer = await ask(work, pictureOptions(wanted), header, context);
      const inLane = codecLane(context, work);
      return inLane(async () => {
        const restored = { bytes: answer.bytes, firstFrame: false };
        const { header: _, metadata, ...image } = await decode(pictures.codec, restored, maxPixels, context);
        const picture: RestoredPicture = { image, metadata, facts: answer.restored as RestoredFacts };
        const source = () => decode(pictures.codec, work, maxPixels, context);
        return finish(pictures.codec, { picture, source, header: work.header, wanted }, context);
      });
    },
  };

  async function ask(
    { bytes }: Work,
    wanted: ResultOptions,
    { width, height }: { readonly width: number; readonly height: number },
    context: WorkContext,
  ): Promise<Made> {
    const { signal, deadline, traceparent } = context;
    return timed('offload', context, async () => {
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
      const used = await usedModel(models, wanted, answer.digest);
      return { ...made, restored: { ...used, by: name, provider: 'remote' } };
    });
  }
}

/** What the network decides, and nothing of what is made of it afterwards. */
function pictureOptions(wanted: ResultOptions): ResultOptions {
  return { ...restoredOptions({ result: wanted }), metadata: 'keep' };
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
