/** `@elfin/edge/worker`: the GPU worker, as an app and as a server on Node. */
export { createWorker, type Worker, type WorkerOptions } from './app.ts';
export { type Batcher, type BatcherOptions, createBatcher } from './batcher.ts';
export { type RunningWorker, type ServeWorkerOptions, serveWorker } from './node.ts';
export {
  createWholeImages,
  type RestoredBytes,
  type WholeImageContext,
  type WholeImageOptions,
} from './whole-image.ts';
