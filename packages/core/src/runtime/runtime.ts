import type { Tensor } from '../base/tensor.ts';
import type { ModelRef } from '../model/models.ts';

/** How a session's graph takes and gives pixels and what it is told of the whole image; see docs/tiling.md. */
export interface SessionOptions {
  /**
   * `float`: pictures are float32 [N,C,H,W] in 0…1, the restored ones not clamped. `uint8`: they are bytes [N,H,W,C], clamped
   * and rounded, and `core` is 0 or 1: a quarter of the size where they have to travel.
   */
  readonly io: 'float' | 'uint8';
  /** `own`: computed from the input. `given`: the input `statistics` [1,S] is used, and `sums` [N,S] reports the pass' own. */
  readonly statistics: 'own' | 'given';
  /** `own`: cut from the input. `given`: the input `quadrants`, twelve channels at half resolution. */
  readonly quadrants: 'own' | 'given';
  /** Fixes N, H and W in the graph, for runtimes that plan memory or capture graphs a shape. Sides are multiples of 16. */
  readonly shape?: { readonly batch: number; readonly height: number; readonly width: number };
}

/** Named tensors of one call. In: `image`, `quadrants`, `statistics`, `core`. Out: `restored`, `background`, `sums`. */
export type Feeds = Readonly<Record<string, Tensor>>;
export type Outputs = Readonly<Record<string, Tensor>>;

export interface RunOptions {
  readonly signal?: AbortSignal;
  /** Milliseconds since the epoch after which the answer is of no use. */
  readonly deadline?: number;
  /** Only these outputs are computed or copied; all by default. */
  readonly outputs?: readonly string[];
}

/** The truth about what runs the graph. */
export interface Backend {
  /** ONNX Runtime's provider name: `cpu`, `cuda`, `webgpu`, `wasm`, … or `remote`. */
  readonly provider: string;
  readonly threads: number;
  /** Where it computes in less than float32. */
  readonly precision?: 'float16';
  /** Each better provider that was not taken, with the reason in one line. */
  readonly declined: readonly { readonly provider: string; readonly reason: string }[];
  /** The implementation and its version, for example `onnxruntime-node 1.30.0`. */
  readonly implementation: string;
}

/** One graph ready to run. Calls may overlap; an implementation queues what it cannot run side by side. */
export interface Session extends AsyncDisposable {
  readonly backend: Backend;
  /** Errors: OUT_OF_MEMORY (smaller tiles may help), RUNTIME_FAILED, ABORTED, DEADLINE_EXCEEDED, DISPOSED. */
  run(feeds: Feeds, options?: RunOptions): Promise<Outputs>;
  dispose(): Promise<void>;
}

/** Turns a model into sessions. Errors: RUNTIME_UNAVAILABLE, WEIGHTS_*, MODEL_*. */
export interface Runtime {
  readonly name: string;
  /** How tiles are best brought to its sessions; one at a time and as float32 where it does not say. */
  readonly tiles?: {
    /** Most tiles of one image under way at once. */
    readonly inFlight: number;
    /** Taken where it costs no precision, for images of 8 bits. */
    readonly io: SessionOptions['io'];
  };
  open(model: ModelRef, options: SessionOptions, context?: { readonly signal?: AbortSignal }): Promise<Session>;
}
