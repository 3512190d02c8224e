import { ElfinError } from '../base/errors.ts';
import { sha256 } from '../base/sha256.ts';
import { type Manifest, modelName } from '../model/manifest.ts';
import type { LoadOptions, ModelRef } from '../model/models.ts';

/**
 * A model of a manifest and a way to its weights, which are read when first needed, and each time checked against the digest
 * that the model is named after.
 * @param manifest as {@link parseManifest} gives it
 * @param load reads `weights.safetensors`
 * @returns a model whose `bytes()` throws MODEL_DIGEST_MISMATCH for other weights than the manifest's
 */
export function createModelRef(manifest: Manifest, load: (options?: LoadOptions) => Promise<Uint8Array>): ModelRef {
  const name = modelName(manifest);
  return {
    name,
    digest: manifest.sha256,
    manifest,
    async bytes(options) {
      const bytes = await load(options);
      const digest = await sha256(bytes);
      if (digest === manifest.sha256) return bytes;
      throw new ElfinError(
        'MODEL_DIGEST_MISMATCH',
        `The weights of ${name} are not those of its manifest (SHA-256 ${digest.slice(0, 12)}… instead of ` +
          `${manifest.sha256.slice(0, 12)}…): install the model again.`,
        { data: { name, expected: manifest.sha256, found: digest } },
      );
    },
  };
}
