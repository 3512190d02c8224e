/** Number types that checkpoints store, under safetensors' names. */
export const WEIGHT_DTYPES = ['F32', 'F16', 'BF16', 'F64'] as const;
export type WeightDtype = (typeof WEIGHT_DTYPES)[number];

/** One parameter. Values are widened or narrowed to float32 in memory, whatever the file stored. */
export interface WeightTensor {
  /** How the file stored it. */
  readonly dtype: WeightDtype;
  /** Row-major; a scalar has the shape `[]`. */
  readonly shape: readonly number[];
  /** `data.length` equals the product of `shape`. */
  readonly data: Float32Array;
}

/** Parameters under the names of the network's checkpoints, for example `dsnet.tail.weight`. */
export type StateDict = ReadonlyMap<string, WeightTensor>;
