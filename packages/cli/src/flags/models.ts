import type { ModelRef, ModelSize, PresetName, Task } from '@elfin/core';
import { loadModel } from '@elfin/core/node';
import { createModels, type FolderName, type ModelCatalogue } from '@elfin/models/node';

/** `--model`, as every verb that needs weights takes it. */
export const MODEL_FLAG = {
  type: 'string',
  default: 'lw',
  valueHint: 'lw|full|folder|file',
  description: 'A bundled model by size or name, a model folder, or a .safetensors, .pth or .onnx file',
} as const;

/** The models that come along. */
export const bundledModels: () => ModelCatalogue = createModels;

/** A word of the command line as a bundled size or name (`derain-lw`), or a model of one's own from files. Errors: those of `loadModel`. */
export async function chooseModel(
  word: string,
  hints: { readonly task?: Task; readonly preset?: PresetName } = {},
): Promise<ModelSize | ModelRef> {
  if (word === 'lw' || word === 'full') return word;
  const name = bundledModels().names.find((name) => name === word);
  return name ? resolveBundled(name) : loadModel(word, hints);
}

/** The model itself. Errors: MODEL_UNKNOWN and those of `loadModel`. */
export async function openModel(word: string, task: Task): Promise<ModelRef> {
  const chosen = await chooseModel(word, { task });
  return typeof chosen === 'string' ? bundledModels().resolve(task, chosen) : chosen;
}

/** Every bundled model. */
export async function allBundled(): Promise<ModelRef[]> {
  return Promise.all(bundledModels().names.map(resolveBundled));
}

async function resolveBundled(name: FolderName): Promise<ModelRef> {
  const [task, size] = name.split('-') as [Task, ModelSize];
  return bundledModels().resolve(task, size);
}
