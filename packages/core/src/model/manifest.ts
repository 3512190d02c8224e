import type { Task } from './models.ts';

/** The names of the four network variants; presets.ts holds their configurations. */
export const PRESETS = ['elf', 'elf-prelu', 'elf-lw', 'alformer'] as const;
export type PresetName = (typeof PRESETS)[number];

/** `manifest.json` of a model folder: what the weights are, whence, and how good. */
export interface Manifest {
  readonly format: 1;
  readonly preset: PresetName;
  readonly task: Task;
  /** Free word that tells trainings of one preset and task apart, for example `start`. */
  readonly variant: string;
  /** Side in pixels of the last training phase's crops: decides `local` tiling. */
  readonly crop: number;
  /** SHA-256 of `weights.safetensors`, lower-case hex. */
  readonly sha256: string;
  readonly dtype: 'float32' | 'float16';
  /** SPDX expression, or a plain phrase where none fits. */
  readonly licence: string;
  /** The data sets trained on, with their licences. */
  readonly data: readonly { readonly name: string; readonly licence: string }[];
  /** Measured scores, each with its set and protocol. */
  readonly scores: readonly {
    readonly set: string;
    readonly metric: string;
    readonly input?: number;
    readonly output: number;
  }[];
}
