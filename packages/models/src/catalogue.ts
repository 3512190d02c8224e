import {
  createModelRef,
  ElfinError,
  type ModelRef,
  type ModelSize,
  type Models,
  parseManifest,
  type Task,
} from '@elfin/core';

/** A model's two files. */
export interface ModelFiles {
  readonly manifest: URL;
  readonly weights: URL;
}

/** `<task>-<size>`: one folder, one model. */
export type FolderName = `${Task}-${ModelSize}`;

/**
 * Every model of this package. Each URL is written out as `new URL('…', import.meta.url)`, whole: bundlers find and ship
 * the files of exactly this form.
 */
export const CATALOGUE: Readonly<Partial<Record<FolderName, ModelFiles>>> = {
  'derain-lw': {
    manifest: new URL('../derain-lw/manifest.json', import.meta.url),
    weights: new URL('../derain-lw/weights.safetensors', import.meta.url),
  },
};

/** {@link Models} whose list can be looked at. */
export interface ModelCatalogue extends Models {
  /** Folders there are, for example `derain-lw`. */
  readonly names: readonly FolderName[];
}

/** Models out of `files`, each read through `read` when first resolved, its weights when first needed. */
export function createCatalogue(
  files: Readonly<Partial<Record<FolderName, ModelFiles>>>,
  read: (url: URL) => Promise<Uint8Array>,
): ModelCatalogue {
  const names = Object.keys(files) as FolderName[];
  const resolved = new Map<FolderName, Promise<ModelRef>>();

  async function load(name: FolderName): Promise<ModelRef> {
    const urls = files[name];
    if (!urls) {
      throw new ElfinError(
        'MODEL_UNKNOWN',
        `There is no model ${name} here. There are: ${names.join(', ') || 'none'}.`,
        {
          data: { name, names },
        },
      );
    }
    const text = new TextDecoder().decode(await read(urls.manifest));
    return createModelRef(parseManifest(text, `the manifest of ${name}`), () => read(urls.weights));
  }

  return {
    names,
    resolve(task, size) {
      const name = `${task}-${size}` as const;
      const known = resolved.get(name) ?? load(name);
      resolved.set(name, known);
      // A failed read is no answer for ever.
      known.catch(() => resolved.delete(name));
      return known;
    },
  };
}
