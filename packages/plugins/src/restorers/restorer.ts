import type { ResultOptions } from '@elfin/core';

/**
 * What a trigger restores with: in this process, or by asking a remote worker. `core.ts` makes one of core's
 * restorer; an application may bring its own.
 */
export interface UploadRestorer {
  /** Part of every result's name: another encoder makes other bytes. */
  readonly codec: { readonly name: string; readonly version: string };
  /** Digests of all weights that may decide the pixels; part of every result's name. Errors: MODEL_UNKNOWN. */
  models(options: ResultOptions): Promise<readonly string[]>;
  /**
   * An encoded image in, an encoded image out, in `options.format`.
   * Errors: IMAGE_* for what no retry will mend; RUNTIME_FAILED, OUT_OF_MEMORY, REMOTE_*, NETWORK_FAILED for what may pass.
   */
  restoreBytes(bytes: Uint8Array, options: ResultOptions, context: RestoreContext): Promise<RestoredBytes>;
}

export interface RestoreContext {
  readonly signal: AbortSignal;
  /** To be called whenever something moved, a tile for example: work that stands still loses its claim. */
  readonly onProgress?: (() => void) | undefined;
}

export interface RestoredBytes {
  readonly bytes: Uint8Array;
  /** What was done, for the log and the notification: plain, serialisable. */
  readonly report?: Readonly<Record<string, unknown>> | undefined;
}
