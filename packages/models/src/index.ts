import { ElfinError } from '@elfin/core';
import { type FetchedModelsOptions, fetchFile } from '@elfin/core/web';
import { CATALOGUE, createCatalogue, type ModelCatalogue } from './catalogue.ts';

export type { FolderName, ModelCatalogue, ModelFiles } from './catalogue.ts';
export { CATALOGUE, createCatalogue } from './catalogue.ts';

/**
 * The models of this package, fetched from where the bundler put them; weights are kept in Cache Storage, checked against
 * their digest each time. In Node take `@elfin/models/node`, which reads files.
 * @param files where the models' files are, if they were copied elsewhere
 * @returns models whose `resolve` throws MODEL_UNKNOWN naming those that there are; NETWORK_FAILED
 */
export function createModels(
  files: typeof CATALOGUE = CATALOGUE,
  { onUncached }: FetchedModelsOptions = {},
): ModelCatalogue {
  return createCatalogue(files, async (url, options) => {
    if (url.protocol === 'file:') {
      throw new ElfinError('NETWORK_FAILED', `Cannot fetch the model file ${url}. In Node import @elfin/models/node.`);
    }
    return fetchFile(url, { ...options, ...(onUncached && { onUncached }) });
  });
}
