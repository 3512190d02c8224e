/** How blocks become operators. Every choice is exact algebra: outputs agree to float32 rounding. */
export interface Lowering {
  /** Hidden channels of the feed-forward are zero-padded to a multiple of this. */
  readonly alignment: number;
  /** A 1×1 whose result is cut into parts becomes one 1×1 a part. */
  readonly splitProjections: boolean;
  /** A layer norm's gain and shift move into the 1×1 that follows. */
  readonly foldNorms: boolean;
  /** Attention: Σqkᵀ first, norms divided out after; the output projection merged with the attention matrix. */
  readonly mergeAttention: boolean;
  /** The 1×1 after an upsampling is done before it. */
  readonly projectBeforeUpsampling: boolean;
  /** Sums over channels become 1×1 convolutions with constant weights. */
  readonly sumByConvolution: boolean;
  /** Σq² and Σk² become pooled means times the number of pixels. */
  readonly squaresByPooling: boolean;
  /** Operands of one Concat. */
  readonly concatFanIn: number;
}

/** Operator by operator as the network is written down: what the others are measured against. */
const reference: Lowering = {
  alignment: 1,
  splitProjections: false,
  foldNorms: false,
  mergeAttention: false,
  projectBeforeUpsampling: false,
  sumByConvolution: false,
  squaresByPooling: false,
  concatFanIn: Infinity,
};

const fast: Lowering = {
  ...reference,
  splitProjections: true,
  foldNorms: true,
  mergeAttention: true,
  projectBeforeUpsampling: true,
};

// Channels that 8 divides reach ONNX Runtime's blocked kernels on a CPU, and whole rows of its matrix kernels in wasm.
const cpu: Lowering = { ...fast, alignment: 8, sumByConvolution: true };

/** Where the graph will run, each with what pays there (bench/README.md). */
export const LOWERINGS = {
  reference,
  native: { ...cpu, squaresByPooling: true },
  wasm: cpu,
  // Dispatches are what costs on a GPU: a reduction is one, its replacements are several.
  webgpu: { ...fast, alignment: 4, concatFanIn: 7 },
  // Pixels of whole vectors; the engine sees layer norms and gates by their operators.
  simd: { ...fast, alignment: 4 },
} as const satisfies Record<string, Lowering>;

/** A kind of runtime that graphs are laid out for; {@link LOWERINGS} tells what that changes. */
export type Target = keyof typeof LOWERINGS;
