import { type Codec, canonicalOptions, ElfinError, parseRestoreStatus, planFit } from '@elfin/core';
import { type Endpoints, readBounded } from '@elfin/core/remote';
import type { Place } from './engine.ts';
import { mediaType } from './engine.ts';
import { timed } from './metrics.ts';

export interface WorkerPlaceOptions {
  /** A pool of workers: `createRemoteRuntime({ endpoints }).endpoints`. */
  readonly endpoints: Endpoints;
  /** Only its probe is used: a worker's answer is looked at before it is believed. */
  readonly codec: Pick<Codec, 'probe'>;
  readonly name?: string;
  readonly maxPixels?: number;
  /** Most bytes of an answer. Default 64 MiB. */
  readonly maxBytes?: number;
}

/**
 * A pool of workers that take whole encoded images (`POST /restore?o=<canonical options>`) and give whole encoded images
 * back. Retries on other workers are the pool's; an answer of another format or other sides than asked for counts as the
 * worker's failure and is never shown. Errors: IMAGE_*, NETWORK_FAILED, REMOTE_BUSY, REMOTE_PROTOCOL, MODEL_UNKNOWN.
 */
export function createWorkerPlace(options: WorkerPlaceOptions): Place {
  const { endpoints, codec, name = 'worker', maxPixels = 50_000_000, maxBytes = 64 * 1024 * 1024 } = options;
  return {
    name,
    maxPixels,
    animations: false,
    available: () => endpoints.state().some(({ breaker }) => breaker !== 'open'),
    make(work, context) {
      const { options: wanted, header } = work;
      const plan = planFit(header, wanted);
      return timed('offload', context, () =>
        endpoints.call({
          method: 'POST',
          path: `/restore?o=${encodeURIComponent(canonicalOptions(wanted))}`,
          headers: {
            'content-type': 'application/octet-stream',
            traceparent: context.traceparent,
            'elfin-deadline-ms': String(Math.max(1, Math.round(context.deadline - Date.now()))),
          },
          body: work.bytes as Uint8Array<ArrayBuffer>,
          signal: context.signal,
          deadline: context.deadline,
          async read(response, endpoint) {
            const wrong = (how: string) =>
              new ElfinError('REMOTE_PROTOCOL', `${endpoint} ${how}.`, { data: { endpoint } });
            const status = parseRestoreStatus(response.headers.get('restore-status'));
            const expected = wanted.restore === 'none' ? 'passthrough' : 'restored';
            if (status?.state !== expected) throw wrong(`did not say "${expected}"`);
            if (response.headers.get('content-type') !== mediaType(wanted.format))
              throw wrong('answered another format');
            const bytes = await readBounded(response.body, maxBytes);
            if (!bytes) throw wrong(`answered more than ${maxBytes} bytes`);
            const made = await codec.probe(bytes).catch(() => undefined);
            if (made?.format !== wanted.format || made.width !== plan.width || made.height !== plan.height) {
              throw wrong(`did not answer a ${wanted.format} of ${plan.width} × ${plan.height}`);
            }
            const restored = {
              task: wanted.restore,
              model: wanted.model ?? 'lw',
              digest: '',
              by: name,
              provider: 'remote',
            };
            return {
              bytes,
              width: plan.width,
              height: plan.height,
              ...(wanted.restore === 'none' ? {} : { restored }),
            };
          },
        }),
      );
    },
  };
}
