import { LONGEST_WAIT } from '../../base/deadline.ts';
import { ElfinError } from '../../base/errors.ts';
import type { Codec, Header } from '../../image/codec.ts';
import type { ResultOptions } from '../../options/table.ts';
import { readBounded } from '../../protocol/read-bounded.ts';
import { parseRestoreStatus, RESTORE_STATUS } from '../../protocol/status.ts';
import { canonicalOptions } from '../../restore/result-key.ts';
import type { Endpoints } from './endpoints.ts';

/** Request header: digests of the weights that may be used, a comma between; without it the worker uses its own. */
export const MODELS_HEADER = 'Elfin-Models';
/** Answer header: digest of the weights that were used, or {@link NO_MODEL}. */
export const MODEL_HEADER = 'Elfin-Model';
/** What the answer says where nothing was restored. */
export const NO_MODEL = 'none';
/** Request header: milliseconds in which the answer must be there. */
export const DEADLINE_HEADER = 'Elfin-Deadline-Ms';

/** A whole encoded image for workers to restore. */
export interface WholeImage {
  readonly bytes: Uint8Array;
  readonly options: ResultOptions;
  /** Digests of the weights that may have made the answer; any others are refused. All are believed where it is missing. */
  readonly models?: readonly string[];
  /** Looks at the answer's header before it is believed. */
  readonly codec: Pick<Codec, 'probe'>;
  /** The sides that the answer must have, where they are known. */
  readonly size?: { readonly width: number; readonly height: number };
  /** Most bytes of an answer. Default 64 MiB. */
  readonly maxBytes?: number;
  readonly traceparent?: string;
  readonly signal?: AbortSignal;
  /** Milliseconds since the epoch. */
  readonly deadline?: number;
}

export interface WholeImageAnswer {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly header: Header;
  /** Digest of the weights that were used; absent where nothing was restored. */
  readonly digest?: string;
}

/**
 * `POST /restore?o=<canonical options>`: encoded image out, encoded image back. An answer in another format, with other
 * sides or by other weights than asked for counts as the worker's failure, is tried elsewhere and never shown.
 * Errors: those of {@link Endpoints.call}; IMAGE_* where the image itself is at fault.
 */
export function restoreWholeImage(endpoints: Endpoints, image: WholeImage): Promise<WholeImageAnswer> {
  const { bytes, options, models, codec, size, maxBytes = 64 * 1024 * 1024, traceparent, signal, deadline } = image;
  return endpoints.call({
    method: 'POST',
    path: `/restore?o=${encodeURIComponent(canonicalOptions(options))}`,
    headers: {
      'Content-Type': 'application/octet-stream',
      ...(models && { [MODELS_HEADER]: models.join(', ') }),
      ...(traceparent && { traceparent }),
      ...(deadline !== undefined &&
        deadline - Date.now() <= LONGEST_WAIT && {
          [DEADLINE_HEADER]: String(Math.max(1, Math.round(deadline - Date.now()))),
        }),
    },
    body: bytes as Uint8Array<ArrayBuffer>,
    signal,
    deadline,
    async read(response, endpoint) {
      const wrong = (how: string) =>
        new ElfinError('REMOTE_PROTOCOL', `${endpoint} ${how}; check its version.`, { data: { endpoint } });
      const expected = options.restore === 'none' ? 'passthrough' : 'restored';
      if (parseRestoreStatus(response.headers.get(RESTORE_STATUS))?.state !== expected)
        throw wrong(`did not say "${expected}"`);
      if (response.headers.get('Content-Type') !== `image/${options.format}`) throw wrong('answered another format');
      const used = response.headers.get(MODEL_HEADER);
      if (options.restore !== 'none') checkModel(used, options, models, wrong);
      const answer = await readBounded(response.body, maxBytes);
      if (!answer) throw wrong(`answered more than ${maxBytes} bytes`);
      const header = await codec.probe(answer).catch(() => undefined);
      if (header?.format !== options.format) throw wrong(`did not answer a ${options.format}`);
      if (size && (header.width !== size.width || header.height !== size.height))
        throw wrong(`answered ${header.width} × ${header.height}, not ${size.width} × ${size.height}`);
      return { bytes: answer, header, ...(used && used !== NO_MODEL && { digest: used }) };
    },
  });
}

function checkModel(
  used: string | null,
  { restore }: ResultOptions,
  models: readonly string[] | undefined,
  wrong: (how: string) => ElfinError,
): void {
  if (used === NO_MODEL && restore === 'auto') return;
  if (!/^[0-9a-f]{64}$/.test(used ?? '')) throw wrong('did not say with which weights it restored');
  if (models && !models.includes(used!)) throw wrong(`restored with other weights (${used!.slice(0, 12)}…)`);
}
