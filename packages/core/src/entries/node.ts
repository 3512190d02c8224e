export { loadModel, writeModel } from '../checkpoint/model-files.ts';
export * from '../index.ts';
export { checkWritable, type WriteOptions, writeAtomically } from '../restore/atomic.ts';
export type { Classified, ClassifyOptions } from '../restore/classify-file.ts';
export type { EncodedOptions, RestoredBytes } from '../restore/encoded.ts';
export {
  createRestorer,
  type FileRestoreOptions,
  formatOf,
  loadSharpCodec,
  type NodeRestoreInput,
  type NodeRestorer,
  type NodeRestorerOptions,
} from '../restore/node-restorer.ts';
export { type ProcessLimits, processLimits } from '../runtime/node/limits.ts';
export { createNodeRuntime, type NodeDevice, type NodeRuntimeOptions } from '../runtime/node/node.ts';
