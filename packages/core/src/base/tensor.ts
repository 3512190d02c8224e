/** Element types that cross a runtime's boundary, under ONNX's names. */
export interface TensorData {
  readonly float32: Float32Array;
  readonly uint8: Uint8Array;
}
/** Element types that cross a session’s border. */
export type TensorType = keyof TensorData;

/** A dense row-major array: `data.length` equals the product of `shape`. */
export type Tensor<T extends TensorType = TensorType> = {
  readonly [K in T]: { readonly type: K; readonly shape: readonly number[]; readonly data: TensorData[K] };
}[T];

/** Number of elements of a shape. */
export function elements(shape: readonly number[]): number {
  return shape.reduce((product, side) => product * side, 1);
}
