import type { Header, Metadata, OutputFormat, PixelImage, ResultOptions } from '@elfin/core';
import type { ResultInfo } from '../http/headers.ts';
import type { Metrics } from '../http/metrics.ts';
import type { Limiter } from '../result/limiter.ts';

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
  readonly restored?: RestoredFacts | undefined;
  /** What it was fitted and encoded from: with it, other sizes and formats of the same photo need no network. */
  readonly picture?: RestoredPicture | undefined;
}

/** What restored an image, and by whom. */
export type RestoredFacts = NonNullable<ResultInfo['restored']>;

/** A restored photo at its source's size, before anything was blended, cut, scaled or encoded. */
export interface RestoredPicture {
  /** Undefined where nothing was to be restored: the source itself is the picture. */
  readonly image: PixelImage | undefined;
  /** The source's. */
  readonly metadata: Metadata;
  readonly facts: RestoredFacts;
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
  /** The lane in which images are decoded, fitted and encoded. */
  readonly codecLane: Limiter;
}

/** Somewhere that images can be made: this process, or a pool of workers. */
export interface Backend {
  /** For `Elfin-Info` and metrics. */
  readonly name: string;
  /** Most source pixels that it takes; see `restorePixels`. */
  readonly maxPixels: number;
  /** Most source pixels that it restores, where that is less than it fits and encodes. */
  readonly restorePixels?: number | undefined;
  /** Whether it can be asked for the first frame of an animation. */
  readonly animations: boolean;
  /** Whether it is worth asking now; a pool whose breakers are all open is not. */
  readonly available: () => boolean;
  /** Whether this image should be made here before any other is asked. */
  readonly prefers?: (work: Work) => boolean;
  /** Errors: IMAGE_* for what no other can mend; anything else is tried at the next one. */
  make(work: Work, context: WorkContext): Promise<Made>;
}

/** A format's media type. */
export const mediaType = (format: OutputFormat): string => `image/${format}`;

/** The same result without restoration. */
export function unrestored(options: ResultOptions): ResultOptions {
  return { ...options, restore: 'none' };
}

/** How much of a limiter's time an image takes: what every image costs, and what each of its pixels does. */
export const costOf = ({ width, height }: { readonly width: number; readonly height: number }): number =>
  200_000 + width * height;
