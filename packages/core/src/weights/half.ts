/** Narrow floating point numbers to and from float32, bit by bit: `Float16Array` is not there on Node 20 and in older browsers. */

const bits = new Uint32Array(1);
const value = new Float32Array(bits.buffer);

/** IEEE 754 binary16 to float32: exact. */
export function decodeHalf(halves: Uint16Array): Float32Array {
  const out = new Float32Array(halves.length);
  const words = new Uint32Array(out.buffer);
  for (let i = 0; i < halves.length; i++) {
    const half = halves[i]!;
    const sign = (half & 0x8000) << 16;
    const exponent = (half >> 10) & 0x1f;
    const fraction = half & 0x3ff;
    if (exponent === 0) {
      out[i] = fraction * 2 ** -24;
      words[i]! |= sign;
    } else {
      words[i] = sign | ((exponent === 31 ? 255 : exponent + 112) << 23) | (fraction << 13);
    }
  }
  return out;
}

/** Float32 to binary16, to nearest, ties to even, as IEEE 754 and torch round. Beyond 65504 it becomes infinite. */
export function encodeHalf(values: Float32Array): Uint16Array {
  const out = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) {
    value[0] = values[i]!;
    const word = bits[0]!;
    const sign = (word >>> 16) & 0x8000;
    const magnitude = word & 0x7fffffff;
    if (magnitude > 0x7f800000) {
      out[i] = sign | 0x7e00;
    } else if (magnitude >= 0x477ff000) {
      out[i] = sign | 0x7c00;
    } else if (magnitude < 0x38800000) {
      // Below 2⁻¹⁴ halves are multiples of 2⁻²⁴: adding ½ lets the float32 adder do that rounding.
      value[0] = Math.abs(values[i]!) + 0.5;
      out[i] = sign | (bits[0]! - 0x3f000000);
    } else {
      const odd = (magnitude >>> 13) & 1;
      out[i] = sign | ((magnitude - 0x38000000 + 0xfff + odd) >>> 13);
    }
  }
  return out;
}

/** bfloat16, the upper half of a float32: exact. */
export function decodeBrain(brains: Uint16Array): Float32Array {
  const words = new Uint32Array(brains.length);
  for (let i = 0; i < brains.length; i++) words[i] = brains[i]! << 16;
  return new Float32Array(words.buffer);
}
