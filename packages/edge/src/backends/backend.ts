import {
  applyFit,
  type Codec,
  cutMetadata,
  ElfinError,
  type Header,
  type OutputFormat,
  type PixelImage,
  planFit,
  type RestoreOptions,
  type ResultOptions,
  restoreOptionsOf,
  type Task,
} from '@elfin/core';
import type { ResultInfo } from '../http/headers.ts';
import { type Metrics, timed } from '../http/metrics.ts';

/** One image to be made: its bytes, its probed header, and what is to become of it. */
export interface Work {
  readonly bytes: Uint8Array;
  readonly header: Header;
  readonly options: ResultOptions;
  /** Take the first frame of an animation. */
  readonly firstFrame: boolean;
}

/** A finished image. */
export interface Made {
  readonly bytes: Uint8Array;
  readonly width: number;
  readonly height: number;
  readonly restored?: NonNullable<ResultInfo['restored']>;
}

export interface WorkContext {
  readonly signal: AbortSignal;
  /** Milliseconds since the epoch. */
  readonly deadline: number;
  readonly traceparent: string;
  readonly metrics: Metrics;
  readonly spans: Map<string, number>;
  /** 0…1. */
  readonly onProgress: (fraction: number) => void;
}

/** Somewhere that images can be made: this process, or a pool of workers. */
export interface Place {
  /** For `Elfin-Info` and metrics. */
  readonly name: string;
  /** Most source pixels that it takes; see `restorePixels`. */
  readonly maxPixels: number;
  /** Most source pixels that it restores, where that is less than it fits and encodes. */
  readonly restorePixels?: number;
  /** Whether it can be asked for the first frame of an animation. */
  readonly animations: boolean;
  /** Whether it is worth asking now; a pool whose breakers are all open is not. */
  readonly available: () => boolean;
  /** Whether this image should be made here before any other place is asked. */
  readonly prefers?: (work: Work) => boolean;
  /** Errors: IMAGE_* for what no place can mend; anything else is tried at the next place. */
  make(work: Work, context: WorkContext): Promise<Made>;
}

/** What the local place needs of core's restorer. */
export interface PixelRestorer {
  restore(
    image: PixelImage,
    options: RestoreOptions,
  ): Promise<{
    readonly image: PixelImage;
    readonly report:
      | { readonly task: 'none' }
      | {
          readonly task: Task;
          readonly model: string;
          readonly digest: string;
          readonly backend: { readonly provider: string };
          readonly tiling: string;
          readonly tiles: number;
        };
  }>;
}

export interface LocalPlaceOptions {
  readonly codec: Codec;
  /** Missing: this process only resizes and encodes. */
  readonly restorer?: PixelRestorer;
  readonly maxPixels?: number;
  /** Largest image to restore, where computing time is dearer than memory. */
  readonly restorePixels?: number;
  /** Restore what fits here before workers are asked: in an isolate, where only small images fit. */
  readonly restoresFirst?: boolean;
  readonly name?: string;
}

/**
 * This process: decode, restore, fit, encode. What is only to be fitted and encoded is done here before anywhere else: it
 * takes less than the way to a worker, whose time is for networks.
 */
export function createLocalPlace(options: LocalPlaceOptions): Place {
  const { codec, restorer, maxPixels = 50_000_000, restoresFirst = false, name = 'local' } = options;
  return {
    name,
    maxPixels,
    ...(options.restorePixels === undefined ? {} : { restorePixels: options.restorePixels }),
    animations: true,
    available: () => true,
    prefers: ({ options: wanted }) => restoresFirst || wanted.restore === 'none',
    async make({ bytes, options: wanted, firstFrame, header }, context) {
      const { signal, deadline, onProgress } = context;
      const decoded = await timed('decode', context, () =>
        codec.decode(bytes, {
          limits: { bytes: bytes.byteLength, pixels: maxPixels },
          animated: firstFrame ? 'first' : 'refuse',
          icc: wanted.icc,
          signal,
        }),
      );
      let image: PixelImage = decoded;
      let restored: Made['restored'];
      if (wanted.restore !== 'none') {
        if (!restorer) throw new ElfinError('RUNTIME_UNAVAILABLE', 'This process has no network to restore with.');
        const done = await timed('infer', context, () =>
          restorer.restore(decoded, {
            ...restoreOptionsOf(wanted),
            signal,
            deadline,
            onProgress: ({ fraction }) => onProgress(fraction * 0.95),
          }),
        );
        image = done.image;
        const { report } = done;
        restored =
          report.task === 'none'
            ? { task: 'none', model: 'none', digest: '', by: name, provider: 'none' }
            : {
                task: report.task,
                model: report.model,
                digest: report.digest,
                by: name,
                provider: report.backend.provider,
                tiling: report.tiling,
                tiles: report.tiles,
              };
      }
      const plan = planFit(header, wanted);
      const whole = plan.width === header.width && plan.height === header.height && header.frames === 1;
      if (restored?.task === 'none' && whole && wanted.format === header.format) {
        // Nothing was found and nothing else is asked for: the file itself, its compressed pixels untouched.
        const { format } = wanted;
        const own = cutMetadata(bytes, { ...header, format }, decoded.metadata, wanted.metadata);
        return { bytes: own, width: plan.width, height: plan.height, restored };
      }
      return timed('encode', context, async () => {
        const fitted = await applyFit(image, plan, codec);
        if (signal.aborted) throw signal.reason;
        const encoded = await codec.encode(fitted, {
          format: wanted.format,
          lossless: header.lossless && wanted.format === header.format && wanted.quality === undefined,
          ...(wanted.quality === undefined ? {} : { quality: wanted.quality }),
          metadata: decoded.metadata,
          policy: wanted.metadata ?? 'none',
          signal,
        });
        return { bytes: encoded, width: plan.width, height: plan.height, ...(restored ? { restored } : {}) };
      });
    },
  };
}

/** A format's media type. */
export const mediaType = (format: OutputFormat): string => `image/${format}`;

/** How an image came to be, or that it could only be made ready and not restored. */
export type Outcome =
  | { readonly state: 'made'; readonly made: Made }
  | { readonly state: 'degraded'; readonly made: Made; readonly reason: string };

/** Whether another place may do better: the image's own faults, and the end of the work itself, travel along. */
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
 * The degrade ladder: each place in turn, one that prefers the image first and those that are down last, and at the end the
 * source, fitted and encoded but not restored. Errors: IMAGE_* and OPTION_INVALID at once; where not even the source can be
 * made ready, the last place's error.
 */
export function createLadder(places: readonly Place[]) {
  async function climb(work: Work, context: WorkContext): Promise<Made> {
    const pixels = work.header.width * work.header.height;
    const able = places.filter((place) => {
      const { maxPixels, restorePixels = maxPixels, animations } = place;
      const most = work.options.restore === 'none' ? maxPixels : Math.min(maxPixels, restorePixels);
      return pixels <= most && (animations || work.header.frames === 1);
    });
    const rank = (place: Place) => (place.available() ? (place.prefers?.(work) ? 0 : 1) : 2);
    const order = able.toSorted((one, other) => rank(one) - rank(other));
    let last: unknown = new ElfinError('RUNTIME_UNAVAILABLE', `No place takes an image of ${pixels} pixels.`);
    for (const place of order) {
      try {
        return await place.make(work, context);
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
        return { state: 'made', made: await climb(work, context) };
      } catch (error) {
        if (!elsewhere(error, context.signal) || work.options.restore === 'none') throw error;
        const plain = { ...work, options: unrestored(work.options) };
        const made = await climb(plain, context).catch(() => {
          throw error;
        });
        return { state: 'degraded', made, reason: reasonOf(error) };
      }
    },
    /** The image without restoration: what is shown while the real one is being made. */
    ready: (work: Work, context: WorkContext) => climb({ ...work, options: unrestored(work.options) }, context),
  };
}

/** The same result without restoration. */
export function unrestored(options: ResultOptions): ResultOptions {
  return { ...options, restore: 'none' };
}
