import { type Codec, type Models, resultModels } from '@elfin/core';
import { type Endpoints, restoreWholeImage } from '@elfin/core/remote';
import type { UploadRestorer } from './restorer.ts';

export interface RemoteUploadRestorerOptions {
  /** Machines that run `elfin worker`: `createRemoteRuntime({ endpoints }).endpoints`. */
  readonly endpoints: Endpoints;
  /** The models that the workers have: their digests are part of each result's name, and other weights are refused. */
  readonly models: Models;
  /** Its probe looks at an answer before it is believed. */
  readonly codec: Pick<Codec, 'probe'>;
  /** Part of each result's name: raised when the workers' encoder changes. Default `1`. */
  readonly version?: string;
  /** Most bytes of an answer. Default 64 MiB. */
  readonly maxBytes?: number;
  /** Milliseconds for an image. Default 5 minutes. */
  readonly timeoutMs?: number;
}

/**
 * Restores by asking workers for whole images (`POST /restore`): for queue consumers that have neither the memory nor the
 * time, such as Cloudflare's. Errors: those of the workers; REMOTE_PROTOCOL for an answer that is not what was asked for.
 */
export function createRemoteUploadRestorer(options: RemoteUploadRestorerOptions): UploadRestorer {
  const { endpoints, models, codec, version = '1', maxBytes = 64 * 1024 * 1024, timeoutMs = 300_000 } = options;
  return {
    codec: { name: 'worker', version },
    models: (wanted) => resultModels(models, wanted),
    async restoreBytes(bytes, wanted, { signal }) {
      const digests = await resultModels(models, wanted);
      const deadline = Date.now() + timeoutMs;
      const asked = { bytes, options: wanted, models: digests, codec, maxBytes, deadline, ...(signal && { signal }) };
      const { bytes: restored, digest } = await restoreWholeImage(endpoints, asked);
      const report = { task: wanted.restore, model: wanted.model ?? 'lw', by: 'worker', ...(digest && { digest }) };
      return { bytes: restored, report };
    },
  };
}
