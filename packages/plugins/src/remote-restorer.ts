import { type Codec, canonicalOptions, ElfinError, type Models, parseRestoreStatus, TASKS } from '@elfin/core';
import { type Endpoints, readBounded } from '@elfin/core/remote';
import type { UploadRestorer } from './restorer.ts';

export interface RemoteUploadRestorerOptions {
  /** Machines that run `elfin worker`: `createRemoteRuntime({ endpoints }).endpoints`. */
  readonly endpoints: Endpoints;
  /** The models that the workers have; only their digests are asked for, as part of each result's name. */
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
    async models({ restore, model = 'lw' }) {
      if (restore === 'none') return [];
      if (restore !== 'auto') return [(await models.resolve(restore, model)).digest];
      const refs = await Promise.allSettled(TASKS.map((task) => models.resolve(task, model)));
      return refs.flatMap((ref) => (ref.status === 'fulfilled' ? [ref.value.digest] : []));
    },
    async restoreBytes(bytes, wanted, { signal }) {
      const deadline = Date.now() + timeoutMs;
      const restored = await endpoints.call({
        method: 'POST',
        path: `/restore?o=${encodeURIComponent(canonicalOptions(wanted))}`,
        headers: { 'content-type': 'application/octet-stream', 'elfin-deadline-ms': String(timeoutMs) },
        body: bytes as Uint8Array<ArrayBuffer>,
        signal,
        deadline,
        async read(response, endpoint) {
          const wrong = (how: string) => new ElfinError('REMOTE_PROTOCOL', `${endpoint} ${how}; check its version.`);
          const state = parseRestoreStatus(response.headers.get('restore-status'))?.state;
          if (state !== (wanted.restore === 'none' ? 'passthrough' : 'restored'))
            throw wrong('did not say that it restored');
          const answer = await readBounded(response.body, maxBytes);
          if (!answer) throw wrong(`answered more than ${maxBytes} bytes`);
          const header = await codec.probe(answer).catch(() => undefined);
          if (header?.format !== wanted.format) throw wrong(`did not answer a ${wanted.format}`);
          return answer;
        },
      });
      return { bytes: restored, report: { task: wanted.restore, model: wanted.model ?? 'lw', by: 'worker' } };
    },
  };
}
