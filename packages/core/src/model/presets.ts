import { ElfinError } from '../base/errors.ts';
import type { ElfConfig } from './elf.ts';
import type { PresetName } from './manifest.ts';

/** The paper's network. Authors' code: `ALformer5.py` at commit cc263f5. */
const elf: ElfConfig = {
  channels: 48,
  blocks: 10,
  heads: 2,
  mamHeads: 4,
  gate: 'gelu',
  output: 'background',
  unusedSlopes: true,
  reduction: 4,
  expansion: 2.66,
};

/** The variants that the authors' history holds, each as what sets it apart. */
export const CONFIGS: Readonly<Record<PresetName, ElfConfig>> = {
  elf,
  /** `ALformer3.py` at cc263f5: the slopes that `elf` stores, in use. */
  'elf-prelu': { ...elf, gate: 'prelu', unusedSlopes: false },
  /** The paper's light network, `ALformer_lw.py`. */
  'elf-lw': { ...elf, channels: 32, blocks: 5, heads: 1, unusedSlopes: false },
  /** What the authors' trainer builds today, `ALformer.py`; not the paper's. */
  alformer: { ...elf, blocks: 5, mamHeads: 1, gate: 'prelu', output: 'residual', unusedSlopes: false },
};

/** A preset by name, or a configuration of one's own. */
export type ElfChoice = PresetName | ElfConfig;

/** Errors: OPTION_INVALID for an unknown name. */
export function configOf(choice: ElfChoice): ElfConfig {
  if (typeof choice !== 'string') return choice;
  const config = CONFIGS[choice];
  if (config) return config;
  throw new ElfinError(
    'OPTION_INVALID',
    `There is no preset "${choice}": choose one of ${Object.keys(CONFIGS).join(', ')}.`,
  );
}
