import { type Codec, DEFAULT_LIMITS } from '@elfin/core';
import { createLocalPlace, mediaType, type PixelRestorer } from '../engine.ts';
import { NO_METRICS } from '../metrics.ts';
import type { WorkerOptions } from './app.ts';

export interface WholeImageOptions {
  readonly codec: Codec;
  readonly restorer: PixelRestorer;
  /** Most pixels of a source. */
  readonly maxPixels?: number;
  /** Milliseconds for an image whose caller names no deadline. Default 10 minutes. */
  readonly patience?: number;
}

/**
 * What `POST /restore` does: the very steps of an edge that restores by itself, so that both give the same bytes.
 * Errors: IMAGE_*, and those of the restorer.
 */
export function createWholeImages(options: WholeImageOptions): NonNullable<WorkerOptions['restoreImage']> {
  const { codec, restorer, maxPixels = DEFAULT_LIMITS.pixels, patience = 600_000 } = options;
  const place = createLocalPlace({ codec, restorer, maxPixels });
  return async (bytes, wanted, { signal, deadline = Date.now() + patience }) => {
    const header = await codec.probe(bytes);
    const spans = new Map<string, number>();
    const context = { signal, deadline, traceparent: '', metrics: NO_METRICS, spans, onProgress: () => undefined };
    const made = await place.make({ bytes, header, options: wanted, firstFrame: false }, context);
    return { bytes: made.bytes, type: mediaType(wanted.format), timings: Object.fromEntries(spans) };
  };
}
