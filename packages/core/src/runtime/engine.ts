import type { InferenceSession } from 'onnxruntime-common';
import type { Feeds, Outputs } from './runtime.ts';

/** One input or output of a graph, as ONNX Runtime describes it; a dimension is a number or its free name. */
export interface Port {
  readonly name: string;
  readonly type: string;
  readonly shape: readonly (number | string)[];
}

/** A graph that an engine holds. */
export interface Loaded {
  readonly handle: number;
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
}

/**
 * What runs graphs, in this thread or another one: everything that crosses it can be cloned to another thread. One graph is
 * run at a time; callers queue. Errors: OUT_OF_MEMORY, RUNTIME_FAILED, RUNTIME_UNAVAILABLE.
 */
export interface Engine {
  load(onnx: Uint8Array, options: InferenceSession.SessionOptions): Promise<Loaded>;
  run(handle: number, feeds: Feeds, outputs?: readonly string[]): Promise<Outputs>;
  unload(handle: number): Promise<void>;
}
