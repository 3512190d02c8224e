export * from './index.ts';
export { loadModel, writeModel } from './model-files.ts';
export {
  createRestorer,
  loadSharpCodec,
  type NodeRestoreInput,
  type NodeRestorerOptions,
} from './node-restorer.ts';
export { createNodeRuntime, type NodeDevice, type NodeRuntimeOptions } from './runtime/node.ts';
