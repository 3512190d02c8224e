export * from './index.ts';
export { createNodeRuntime, type NodeDevice, type NodeRuntimeOptions } from './runtime/node.ts';
