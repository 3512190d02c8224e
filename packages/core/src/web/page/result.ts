import { loadPart } from '../../base/lazy-import.ts';
import type { MetadataPolicy } from '../../image/codec.ts';
import type { PixelImage } from '../../image/pixels.ts';
import type { Restored } from '../../restorer.ts';
import type { TilePreview } from '../../tiling/run.ts';
import type { EncodeAsk } from '../messages.ts';
import type { WebInput } from './input.ts';
import type { WebRestorer } from './restorer.ts';

/** How a result becomes a file. */
export interface BlobOptions {
  /** By default the source's own where browsers write it (JPEG, PNG, WebP), else PNG. */
  readonly format?: 'jpeg' | 'png' | 'webp' | undefined;
  /** 1…100; 90 for JPEG and 88 for WebP by default. PNG loses nothing. */
  readonly quality?: number | undefined;
  /** Longest side in pixels; larger results are made smaller. */
  readonly maxSide?: number | undefined;
  /** What is kept of the source's EXIF, XMP and IPTC: `keep` (default), `copyright` (and nothing of places and cameras), `none`. */
  readonly metadata?: MetadataPolicy | undefined;
  /** Written instead of the result's own: pixels that were worked on further. */
  readonly pixels?: PixelImage | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A result in a page. */
export interface WebRestored extends Restored {
  /**
   * The result as a file, written by the worker. Errors: OPTION_INVALID, also for WebP where the browser does not write it;
   * OUT_OF_MEMORY, ABORTED, DISPOSED.
   */
  toBlob(options?: BlobOptions): Promise<Blob>;
  /** The result to be drawn or shown; the caller closes it. Made strip by strip, so that the page stays responsive. */
  toBitmap(): Promise<ImageBitmap>;
}

/** Adds to a result what only pages have. */
export function toWebRestored(
  restored: Restored,
  encode: (ask: EncodeAsk, signal: AbortSignal | undefined) => Promise<Blob>,
): WebRestored {
  const { image, header, metadata } = restored;
  return {
    ...restored,
    toBlob: ({ signal, pixels = image, ...options } = {}) =>
      encode({ image: pixels, source: header?.format, metadata, options }, signal),
    async toBitmap() {
      const { toBitmap } = await loadPart(import('./paint.ts'));
      return toBitmap(image);
    },
  };
}

/**
 * The tiles of a restoration as a stream, each as soon as it is there. Cancelling it ends the work; a failure is the stream's.
 * @example
 * ```ts
 * import { createRestorer, fetchModels, streamTiles } from '@elfin/core/web';
 *
 * const restorer = createRestorer({ models: fetchModels('/elfin/models') });
 * for await (const { x, y, width, data } of streamTiles(restorer, '/photo.jpg', { task: 'derain' })) {
 *   console.log(x, y, width, data.length);
 * }
 * ```
 */
export function streamTiles(
  restorer: WebRestorer,
  input: WebInput,
  options: Parameters<WebRestorer['restore']>[1],
): ReadableStream<TilePreview> {
  const stop = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal;
  return new ReadableStream({
    async start(controller) {
      restorer
        .restore(input, { ...options, signal, onTile: (tile) => controller.enqueue(tile) })
        .then(() => controller.close())
        // Does nothing to a stream that was cancelled.
        .catch((error) => controller.error(error));
    },
    cancel: (reason) => stop.abort(reason),
  });
}
