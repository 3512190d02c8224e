import { type ModelRef, modelName, type Runtime, type Tensor } from '@elfin/core';

/**
 * A runtime whose device changes nothing: `restored` is the image. A run takes as long as what `run` gives is not settled, and
 * leaves the processor alone meanwhile, as a GPU does: what surrounds a network (wire, queue, batches) is seen apart from it.
 */
export function createAccelerator(run: (image: Tensor) => Promise<unknown>): Runtime {
  return {
    name: 'accelerator',
    async open() {
      const dispose = async () => undefined;
      return {
        backend: { provider: 'simulated', threads: 0, declined: [], implementation: 'none' },
        async run({ image }, { outputs = ['restored'] } = {}) {
          await run(image!);
          return Object.fromEntries(outputs.map((name) => [name, outputOf(name, image!)]));
        },
        dispose,
        [Symbol.asyncDispose]: dispose,
      };
    },
  };
}

function outputOf(name: string, image: Tensor): Tensor {
  if (name === 'restored') return image;
  const [batch = 1, height = 0, width = 0] = image.shape;
  const shape = [batch, height / 2, width / 2, 3];
  return { type: 'uint8', shape, data: new Uint8Array(image.data.length / 4) };
}

/** A model's name and digest without weights: all that the wire needs to know of it. */
export function namedModel(digest = 'a'.repeat(64)): ModelRef {
  const manifest = {
    format: 1,
    preset: 'elf-lw',
    task: 'derain',
    variant: 'simulated',
    crop: 128,
    sha256: digest,
    dtype: 'float32',
    license: 'CC0-1.0',
    data: [],
    scores: [],
  } as const;
  return { name: modelName(manifest), digest, manifest, bytes: async () => new Uint8Array() };
}
