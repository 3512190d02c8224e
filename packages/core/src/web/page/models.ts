import { createModelRef } from '../../checkpoint/model-ref.ts';
import { parseManifest } from '../../model/manifest.ts';
import type { LoadOptions, ModelRef, Models } from '../../model/models.ts';
import { fetchFile } from './fetch.ts';

export interface FetchedModelsOptions {
  /** Told why weights could not be kept in Cache Storage; they are used all the same. */
  readonly onUncached?: (reason: string) => void;
}

/**
 * Models out of a folder on a web server, laid out as `@elfin/models` is: `<task>-<size>/manifest.json` beside
 * `weights.safetensors`. Weights are kept in Cache Storage under their digest's protection.
 * @param folder relative to the page; with or without `/` at its end
 * @returns models whose `resolve` throws MODEL_UNKNOWN (HTTP 404), NETWORK_FAILED, MANIFEST_INVALID
 */
export function fetchModels(folder: string | URL, options: FetchedModelsOptions = {}): Models {
  const base = new URL(`${String(folder).replace(/\/?$/, '/')}`, globalThis.location?.href);
  const resolved = new Map<string, Promise<ModelRef>>();
  return {
    resolve(task, size) {
      const name = `${task}-${size}`;
      const known = resolved.get(name) ?? load(name);
      resolved.set(name, known);
      // A failed download is no answer for ever.
      known.catch(() => resolved.delete(name));
      return known;
    },
  };

  async function load(name: string): Promise<ModelRef> {
    const where = new URL(`${name}/manifest.json`, base);
    const manifest = parseManifest(new TextDecoder().decode(await fetchFile(where)), String(where));
    const weights = new URL(`${name}/weights.safetensors`, base);
    const fetched = (given: LoadOptions = {}) => fetchFile(weights, { ...given, ...options, digest: manifest.sha256 });
    return createModelRef(manifest, fetched);
  }
}
