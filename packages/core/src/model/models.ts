import type { Manifest } from './manifest.ts';

/** What an image is restored from. */
export const TASKS = ['derain', 'lowlight', 'underwater'] as const;
/** What a model restores from. */
export type Task = (typeof TASKS)[number];

/** `lw`: the paper's light network. `full`: the paper's network. */
export type ModelSize = 'lw' | 'full';

/** One set of weights, named so that it can never be mistaken for another: `<task>-<size>-<variant>-<digest12>`. */
export interface ModelRef {
  readonly name: string;
  /** SHA-256 of the safetensors file, lower-case hex. */
  readonly digest: string;
  readonly manifest: Manifest;
  /** The safetensors file. A source that has it at hand may ignore the options. */
  bytes(options?: LoadOptions): Promise<Uint8Array>;
}

/** How a file is fetched. */
export interface LoadOptions {
  readonly signal?: AbortSignal;
  /** Bytes so far, and of all where the source tells. */
  readonly onProgress?: (download: Download) => void;
}

/** Bytes as they arrive. */
export interface Download {
  readonly loaded: number;
  readonly total?: number;
}

/** Where weights come from. Errors: MODEL_UNKNOWN, MANIFEST_INVALID, MODEL_DIGEST_MISMATCH. */
export interface Models {
  resolve(task: Task, size: ModelSize): Promise<ModelRef>;
}
