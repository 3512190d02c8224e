import type { Manifest } from './manifest.ts';

/** What an image is restored from. */
export const TASKS = ['derain', 'lowlight', 'underwater'] as const;
export type Task = (typeof TASKS)[number];

/** `lw`: the paper's light network. `full`: the paper's network. */
export type ModelSize = 'lw' | 'full';

/** One set of weights, named so that it can never be mistaken for another: `<task>-<size>-<variant>-<digest12>`. */
export interface ModelRef {
  readonly name: string;
  /** SHA-256 of the safetensors file, lower-case hex. */
  readonly digest: string;
  readonly manifest: Manifest;
  /** The safetensors file. */
  bytes(): Promise<Uint8Array>;
}

/** Where weights come from. Errors: MODEL_UNKNOWN, MANIFEST_INVALID, MODEL_DIGEST_MISMATCH. */
export interface Models {
  resolve(task: Task, size: ModelSize): Promise<ModelRef>;
}
