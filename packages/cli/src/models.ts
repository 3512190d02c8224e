import type { ModelRef, ModelSize, PresetName, Task } from '@elfin/core';
import { loadModel } from '@elfin/core/node';
import { createModels, type ModelCatalogue } from '@elfin/models/node';

/** `--model`, as every verb that needs weights takes it. */
export const MODEL_FLAG = {
  type: 'string',
  default: 'lw',
  valueHint: 'lw|full|folder|file',
  description: 'A bundled model’s size, a model folder, or a .safetensors, .pth or .onnx file',
} as const;

/** The models that come along. */
export const bundledModels: () => ModelCatalogue = createModels;

/** A word of the command line as one of the bundled sizes, or a model of one's own from files. Errors: those of `loadModel`. */
export async function chooseModel(
  word: string,
  hints: { readonly task?: Task; readonly preset?: PresetName } = {},
): Promise<ModelSize | ModelRef> {
  return word === 'lw' || word === 'full' ? word : loadModel(word, hints);
}

/** The model itself. Errors: MODEL_UNKNOWN and those of `loadModel`. */
export async function openModel(word: string, task: Task): Promise<ModelRef> {
  const chosen = await chooseModel(word, { task });
  return typeof chosen === 'string' ? bundledModels().resolve(task, chosen) : chosen;
}

/** Every bundled model. */
export async function allBundled(): Promise<ModelRef[]> {
  const models = bundledModels();
  return Promise.all(
    models.names.map((name) => {
      const [task, size] = name.split('-') as [Task, ModelSize];
      return models.resolve(task, size);
    }),
  );
}
