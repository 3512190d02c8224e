import { readFileSync } from 'node:fs';
import { CONFIGS, type EmitOptions, type EmittedElf, emitElf, type PresetName, type Tensor } from '@elfin/core';
import type { StateDict, WeightTensor } from '@elfin/core/weights';
import { readSafetensors } from '@elfin/core/weights';
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';

/** One golden file: the authors' modules at 16 channels, their weights, one input and what they made of it. */
export interface Golden {
  readonly model: EmitOptions['model'];
  readonly weights: StateDict;
  readonly input: WeightTensor;
  readonly output: WeightTensor;
  readonly background: WeightTensor;
}

export function readGolden(preset: PresetName): Golden {
  const { state } = readSafetensors(
    readFileSync(new URL(`../fixtures/golden/${preset}-c16.safetensors`, import.meta.url)),
  );
  const weights = new Map([...state].flatMap(([key, w]) => (key.startsWith('weights.') ? [[key.slice(8), w]] : [])));
  const [input, output, background] = ['input', 'output', 'background'].map((name) => state.get(name)!);
  return {
    model: { ...CONFIGS[preset], channels: 16 },
    weights,
    input: input!,
    output: output!,
    background: background!,
  };
}

export type Plain = { readonly shape: readonly number[]; readonly data: Float32Array | Uint8Array };

export interface Runner {
  readonly emitted: EmittedElf;
  run(feeds: Readonly<Record<string, Plain>>): Promise<Readonly<Record<string, Plain>>>;
}

/** Emits a network and opens it in onnxruntime-node, one thread. */
export async function openElf(options: EmitOptions): Promise<Runner> {
  const emitted = emitElf(options);
  return { emitted, run: await openOnnx(emitted.onnx) };
}

export async function openOnnx(onnx: Uint8Array): Promise<Runner['run']> {
  const session = await InferenceSession.create(onnx, { intraOpNumThreads: 1, logSeverityLevel: 3 });
  return async (feeds) => {
    const tensors = Object.entries(feeds).map(([name, { shape, data }]) => [name, ortTensor(data, shape)] as const);
    const results = await session.run(Object.fromEntries(tensors));
    return Object.fromEntries(
      Object.entries(results).map(([name, { dims, data }]) => [name, { shape: dims, data: data as Float32Array }]),
    );
  };
}

function ortTensor(data: Plain['data'], shape: readonly number[]): OrtTensor {
  return data instanceof Uint8Array
    ? new OrtTensor('uint8', data, [...shape])
    : new OrtTensor('float32', data, [...shape]);
}

/** Largest difference of two tensors of one shape. */
export function distance(a: Plain | Tensor | WeightTensor, b: Plain | Tensor | WeightTensor): number {
  if (a.shape.join() !== b.shape.join()) throw new Error(`shapes [${a.shape}] and [${b.shape}] differ`);
  let most = 0;
  for (let i = 0; i < a.data.length; i++) {
    const difference = Math.abs(a.data[i]! - b.data[i]!);
    // A NaN must not pass for small.
    if (!(difference <= most)) most = difference;
  }
  return most;
}

/** Rows y0…y1, columns x0…x1 of the last two axes. */
export function cut(
  { shape, data }: Plain,
  [y0, y1]: readonly [number, number],
  [x0, x1]: readonly [number, number],
): Plain {
  const [height, width] = shape.slice(-2) as [number, number];
  const planes = data.length / (height * width);
  const out = new Float32Array(planes * (y1 - y0) * (x1 - x0));
  let to = 0;
  for (let p = 0; p < planes; p++) {
    for (let y = y0; y < y1; y++) {
      const row = (p * height + y) * width;
      out.set((data as Float32Array).subarray(row + x0, row + x1), to);
      to += x1 - x0;
    }
  }
  return { shape: [...shape.slice(0, -2), y1 - y0, x1 - x0], data: out };
}

/** The four quarters of N 3 H W as N 12 H/2 W/2. */
export function quadrantsOf(image: Plain): Plain {
  const [n, , height, width] = image.shape as [number, number, number, number];
  if (n !== 1) throw new Error('one image at a time');
  const quarter = (row: number, column: number) =>
    cut(image, [(row * height) / 2, ((row + 1) * height) / 2], [(column * width) / 2, ((column + 1) * width) / 2]).data;
  const data = new Float32Array(image.data.length);
  [quarter(0, 0), quarter(0, 1), quarter(1, 0), quarter(1, 1)].forEach(
    (part, i) => void data.set(part, i * part.length),
  );
  return { shape: [1, 12, height / 2, width / 2], data };
}

/** Largest absolute value. */
export function magnitude({ data }: Pick<Plain, 'data'>): number {
  let most = 0;
  for (const value of data) most = Math.max(most, Math.abs(value));
  return most;
}
