import { ElfinError } from '@elfin/core';
import { CATALOGUE, createCatalogue, type ModelCatalogue } from './catalogue.ts';

export type { FolderName, ModelCatalogue, ModelFiles } from './catalogue.ts';
export { CATALOGUE, createCatalogue } from './catalogue.ts';

/**
 * The models of this package, fetched from where the bundler put them. In Node take `@elfin/models/node`, which reads files.
 * @param files where the models' files are, if they were copied elsewhere
 * @returns models whose `resolve` throws MODEL_UNKNOWN naming those that there are; NETWORK_FAILED
 */
export function createModels(files: typeof CATALOGUE = CATALOGUE): ModelCatalogue {
  return createCatalogue(files, async (url) => {
    let response: Response;
    try {
      response = await fetch(url);
    } catch (cause) {
      const hint = url.protocol === 'file:' ? ' In Node import @elfin/models/node.' : '';
      throw new ElfinError('NETWORK_FAILED', `Cannot fetch the model file ${url}.${hint}`, { cause });
    }
    if (!response.ok)
      throw new ElfinError('NETWORK_FAILED', `Cannot fetch the model file ${url}: HTTP ${response.status}.`);
    return new Uint8Array(await response.arrayBuffer());
  });
}
