import type { ModelRef, PresetName } from '@elfin/core';
import { PRESETS } from '@elfin/core';
import { loadModel } from '@elfin/core/node';
import type { FolderName } from '@elfin/models/node';
import { createModels } from '@elfin/models/node';
import { seededModel } from '../test/helpers/seeded-model.ts';

/**
 * The model that a benchmark's `--model` names: a bundled one (`derain-lw`), a preset with seeded random weights (`elf`),
 * which costs what a trained one does, or a file or folder of weights.
 */
export async function openModel(name: string): Promise<ModelRef> {
  if ((PRESETS as readonly string[]).includes(name)) return seededModel(name as PresetName);
  const models = createModels();
  if (!(models.names as readonly string[]).includes(name)) return loadModel(name, { task: 'derain' });
  const [task, size] = (name as FolderName).split('-') as Parameters<typeof models.resolve>;
  return models.resolve(task, size);
}
