import {
  type Codec,
  DEFAULT_LIMITS,
  ElfinError,
  type Models,
  type ResultOptions,
  resultModels,
  throwIfAborted,
} from '@elfin/core';
import { NO_MODEL } from '@elfin/core/remote';
import { costOf, mediaType } from '../backends/backend.ts';
import { createLocalBackend, type PixelRestorer } from '../backends/local.ts';
import { NO_METRICS } from '../http/metrics.ts';
import { checkFit } from '../result/fit-limit.ts';
import { createLimiter } from '../result/limiter.ts';

/** A whole image restored: what `POST /restore` answers. */
export interface RestoredBytes {
  readonly bytes: Uint8Array;
  readonly type: string;
  /** Digest of the weights that were used, or `none`. */
  readonly digest: string;
  /** Milliseconds a phase, for `Server-Timing`. */
  readonly timings: Readonly<Record<string, number>>;
}

export interface WholeImageContext {
  readonly signal: AbortSignal;
  /** Milliseconds since the epoch. */
  readonly deadline: number | undefined;
  /** Digests of the weights that the caller takes an answer from; any where it does not say. */
  readonly models: readonly string[] | undefined;
}

export interface WholeImageOptions {
  readonly codec: Codec;
  readonly restorer: PixelRestorer;
  /** The ones that the restorer restores with. */
  readonly models: Models;
  /** Most pixels of a source. */
  readonly maxPixels?: number;
  /** Longest side of a result; see `checkFit`. Default 16,384: twice what an edge allows unless told otherwise. */
  readonly resultSide?: number;
  /** Milliseconds for an image whose caller names no deadline. Default 10 minutes. */
  readonly patience?: number;
  /** Images with their pixels in memory at once: while one is restored another is decoded or encoded. Default 2. */
  readonly atOnce?: number;
  /** Images waiting for that, as the bytes that they came as. Default 16. */
  readonly waiting?: number;
}

/**
 * What `POST /restore` does: the very steps of an edge that restores by itself, so that both give the same bytes.
 * Errors: IMAGE_*, MODEL_UNKNOWN for other weights than the caller takes, OVERLOADED, DEADLINE_EXCEEDED, and those of the
 * restorer.
 */
export function createWholeImages(
  options: WholeImageOptions,
): (bytes: Uint8Array, wanted: ResultOptions, context: WholeImageContext) => Promise<RestoredBytes> {
  const { codec, restorer, models, maxPixels = DEFAULT_LIMITS.pixels, patience = 600_000 } = options;
  const { resultSide = 16_384, atOnce = 2, waiting = 16 } = options;
  const backend = createLocalBackend({ codec, restorer, maxPixels });
  const limiter = createLimiter({ concurrency: atOnce, queue: waiting });
  // All that got past the limiter may be decoded and encoded.
  const codecLane = createLimiter({ concurrency: atOnce, queue: atOnce });
  return async (bytes, wanted, { signal, deadline = Date.now() + patience, models: taken }) => {
    const accept = (digest: string) => {
      if (taken && !taken.includes(digest)) throw otherWeights(wanted, digest);
    };
    // Whichever weights `auto` takes is known only once it has looked.
    if (wanted.restore !== 'auto') (await resultModels(models, wanted)).forEach(accept);
    const header = await codec.probe(bytes);
    checkFit(header, wanted, resultSide);
    return limiter.run(
      async () => {
        throwIfAborted(signal);
        if (Date.now() > deadline)
          throw new ElfinError('DEADLINE_EXCEEDED', 'The deadline passed while the image waited for its turn.');
        const spans = new Map<string, number>();
        const context = { signal, deadline, traceparent: '', metrics: NO_METRICS, spans, onProgress, codecLane };
        const made = await backend.make({ bytes, header, options: wanted, firstFrame: false }, context);
        const digest = made.restored?.digest || NO_MODEL;
        if (digest !== NO_MODEL) accept(digest);
        return { bytes: made.bytes, type: mediaType(wanted.format), digest, timings: Object.fromEntries(spans) };
      },
      { signal, cost: costOf(header) },
    );
  };
}

const onProgress = () => undefined;

function otherWeights({ restore, model = 'lw' }: ResultOptions, digest: string): ElfinError {
  return new ElfinError(
    'MODEL_UNKNOWN',
    `This worker restores ${restore} (${model}) with the weights ${digest.slice(0, 12)}…, not with those asked for.`,
  );
}
