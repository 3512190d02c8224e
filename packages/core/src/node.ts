export * from './index.ts';
export { loadModel, writeModel } from './model-files.ts';
export {
  createRestorer,
  type FileRestoreOptions,
  formatOf,
  loadSharpCodec,
  type NodeRestoreInput,
  type NodeRestorer,
  type NodeRestorerOptions,
} from './node-restorer.ts';
export { checkWritable, type WriteOptions, writeAtomically } from './restore/atomic.ts';
export type { EncodedOptions, RestoredBytes } from './restore/encoded.ts';
export { createNodeRuntime, type NodeDevice, type NodeRuntimeOptions } from './runtime/node.ts';
