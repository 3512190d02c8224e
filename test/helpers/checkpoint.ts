import { zipSync } from 'fflate';

/** A pickle's opcodes as latin-1 text, put together by hand: hostile and very small checkpoints need no torch. */
export const text = (value: string) => `X${int32(value.length)}${value}`;
export const int = (value: number) => `J${int32(value)}`;
const int32 = (value: number) =>
  String.fromCharCode(value & 255, (value >> 8) & 255, (value >> 16) & 255, (value >> 24) & 255);

/** A reference to a storage of `length` floats under the archive's `data/<key>`. */
export const storage = (length: number, key = '0') =>
  `(${text('storage')}ctorch\nFloatStorage\n${text(key)}${text('cpu')}${int(length)}tQ`;

/** A tensor over a {@link storage}. */
export const tensor = (length: number, offset: number, shape: number[], stride: number[], key = '0') =>
  `ctorch._utils\n_rebuild_tensor_v2\n(${storage(length, key)}${int(offset)}` +
  `(${shape.map(int).join('')}t(${stride.map(int).join('')}t\x89NtR`;

export const latin1 = (value: string) => Uint8Array.from(value, (char) => char.charCodeAt(0));

/** A checkpoint around a pickle; storage `0` is one zero. */
export const checkpoint = (pickle: string, files: Record<string, Uint8Array> = {}) =>
  zipSync({ 'a/data.pkl': latin1(pickle), 'a/data/0': new Uint8Array(4), ...files }, { level: 9 });

/** A checkpoint with a bare state dict, a storage a tensor. */
export function stateDictCheckpoint(
  state: Iterable<readonly [string, { readonly shape: readonly number[]; readonly data: Float32Array }]>,
): Uint8Array {
  const files: Record<string, Uint8Array> = {};
  let items = '';
  let key = 0;
  for (const [name, { shape, data }] of state) {
    const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, side) => product * side, 1));
    items += text(name) + tensor(data.length, 0, [...shape], strides, String(key));
    files[`a/data/${key++}`] = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  }
  return checkpoint(`}(${items}u.`, files);
}
