import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { ElfinError } from '@elfin/core';
import { CATALOGUE, createCatalogue, type ModelCatalogue } from './catalogue.ts';

export type { FolderName, ModelCatalogue, ModelFiles } from './catalogue.ts';
export { CATALOGUE, createCatalogue } from './catalogue.ts';

/**
 * The models of this package, read from its folder.
 * @returns models whose `resolve` throws MODEL_UNKNOWN naming those that there are; INPUT_UNREADABLE
 */
export function createModels(): ModelCatalogue {
  return createCatalogue(CATALOGUE, async (url) => {
    const path = fileURLToPath(url);
    try {
      return await readFile(path);
    } catch (cause) {
      throw new ElfinError('INPUT_UNREADABLE', `Cannot read the model file ${path}: install @elfin/models again.`, {
        cause,
      });
    }
  });
}
