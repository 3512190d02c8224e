import { decodeBrain, decodeHalf } from './half.ts';
import type { WeightDtype } from './state-dict.ts';

/** Bytes an element, of every number type that safetensors and torch storages know under safetensors' names. */
export const DTYPE_BYTES = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U64: 8,
  U32: 4,
  U16: 2,
  U8: 1,
  BOOL: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
} as const;
/** An element type by its safetensors name. */
export type Dtype = keyof typeof DTYPE_BYTES;

/** True for the number types that weights can have; the rest are counters and masks, which no parameter is. */
export function isWeightDtype(dtype: Dtype): dtype is WeightDtype {
  return dtype === 'F32' || dtype === 'F16' || dtype === 'BF16' || dtype === 'F64';
}

/** Little-endian elements to float32. `bytes.length` must be a multiple of the element's size; nothing is shared with it. */
export function toFloat32(bytes: Uint8Array, dtype: WeightDtype): Float32Array {
  // Not slice(): on a Node Buffer that is a view, and its buffer the whole file.
  const buffer = new Uint8Array(bytes).buffer;
  switch (dtype) {
    case 'F32':
      return new Float32Array(buffer);
    case 'F64':
      return new Float32Array(new Float64Array(buffer));
    case 'F16':
      return decodeHalf(new Uint16Array(buffer));
    case 'BF16':
      return decodeBrain(new Uint16Array(buffer));
  }
}
