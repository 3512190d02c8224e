import type { Manifest, ModelRef, ModelSize, Models, PresetName, Task } from '@elfin/core';
import { describeElf, sha256 } from '@elfin/core';
import type { WeightTensor } from '@elfin/core/weights';
import { writeSafetensors } from '@elfin/core/weights';

/** A small generator with a known period (mulberry32): equal seeds give equal weights on every machine. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A network of full size with random weights: it restores nothing, but it computes what a trained one would. */
export async function seededModel(preset: PresetName = 'elf-lw', task: Task = 'derain', seed = 1): Promise<ModelRef> {
  const random = seeded(seed);
  const shared = new Map<string, Float32Array>();
  const weights = new Map<string, WeightTensor>();
  for (const { key, shape, shared: name = key } of describeElf(preset).parameters) {
    const size = shape.reduce((product, side) => product * side, 1);
    const spread = shape.length > 1 ? Math.sqrt(3 / (size / shape[0]!)) : 0.3;
    const data = shared.get(name) ?? Float32Array.from({ length: size }, () => (2 * random() - 1) * spread);
    shared.set(name, data);
    weights.set(key, { dtype: 'F32', shape, data });
  }
  const bytes = writeSafetensors(weights);
  const digest = await sha256(bytes);
  const size = preset === 'elf-lw' ? 'lw' : 'full';
  const manifest: Manifest = {
    format: 1,
    preset,
    task,
    variant: 'seeded',
    crop: 128,
    sha256: digest,
    dtype: 'float32',
    license: 'CC0-1.0',
    data: [],
    scores: [],
  };
  return { name: `${task}-${size}-seeded-${digest.slice(0, 12)}`, digest, manifest, bytes: async () => bytes };
}

/** Seeded models for every task and size, made when first asked for. */
export function seededModels(): Models {
  const made = new Map<string, Promise<ModelRef>>();
  return {
    resolve(task: Task, size: ModelSize) {
      const key = `${task}-${size}`;
      const model = made.get(key) ?? seededModel(size === 'lw' ? 'elf-lw' : 'elf', task, key.length);
      made.set(key, model);
      return model;
    },
  };
}
