export type { ImportedModel, ImportOptions } from '../checkpoint/import-checkpoint.ts';
export { importCheckpoint, readWeights } from '../checkpoint/import-checkpoint.ts';
export type * from './keys.ts';
export type * from './safetensors.ts';
export { readSafetensors, writeSafetensors } from './safetensors.ts';
export type * from './state-dict.ts';
export { loadStateDict, WEIGHT_DTYPES } from './state-dict.ts';
export type * from './torch.ts';
export { readTorch } from './torch.ts';
