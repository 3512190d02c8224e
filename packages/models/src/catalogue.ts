import {
  createModelRef,
  ElfinError,
  type LoadOptions,
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
  'derain-full': {
    manifest: new URL('../derain-full/manifest.json', import.meta.url),
    weights: new URL('../derain-full/weights.safetensors', import.meta.url),
  },
  'lowlight-lw': {
    manifest: new URL('../lowlight-lw/manifest.json', import.meta.url),
    weights: new URL('../lowlight-lw/weights.safetensors', import.meta.url),
  },
  'underwater-lw': {
    manifest: new URL('../underwater-lw/manifest.json', import.meta.url),
    weights: new URL('../underwater-lw/weights.safetensors', import.meta.url),
  },
};

/** {@link Models} whose list can be looked at. */
export interface ModelCatalogue extends Models {
  /** Folders there are, for example `derain-lw`. */
  readonly names: readonly FolderName[];
}

/** How a file is read; `digest` (SHA-256) is known for weights only. */
export type ReadFile = (url: URL, options?: LoadOptions & { readonly digest?: string }) => Promise<Uint8Array>;

/** Models out of `files`, each read through `read` when first resolved, its weights when first needed. */
export function createCatalogue(
  files: Readonly<Partial<Record<FolderName, ModelFiles>>>,
  read: ReadFile,
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
    const manifest = parseManifest(text, `the manifest of ${name}`);
    return createModelRef(manifest, (options) => read(urls.weights, { ...options, digest: manifest.sha256 }));
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
