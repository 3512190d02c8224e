import { type Codec, type Models, resultKey, resultModels } from '@elfin/core';
import type { Plan } from '../url/transform.ts';

/**
 * Names what a plan's result is made with: the weights that may decide its pixels, the codec, and core's own version of the
 * arithmetic. Undefined while the weights cannot be had, which holds back nothing that is there.
 */
export type Fingerprint = (plan: Pick<Plan, 'result'>) => Promise<string | undefined>;

export function createFingerprint(options: {
  readonly codec: Pick<Codec, 'name' | 'version' | 'formats'>;
  readonly models?: Models | undefined;
}): Fingerprint {
  const { codec, models } = options;
  // The formats too: what `auto` is written in depends on them.
  const version = [codec.version, ...codec.formats].join(' ');
  const names = new Map<string, Promise<string>>();
  return async ({ result: { restore, model } }) => {
    const wanted = { restore, ...(model ? { model } : {}) };
    const digests = await (models ? resultModels(models, wanted) : Promise.resolve([])).catch(() => undefined);
    if (!digests) return undefined;
    const text = [restore, model, ...digests].join();
    const name =
      names.get(text) ??
      // A result's key but for its source and shape, so that whatever makes new keys makes a new name.
      resultKey({
        source: '',
        validator: { version: 'any' },
        options: { ...wanted, format: 'png' },
        models: digests,
        codec: { name: codec.name, version },
      });
    names.set(text, name);
    return name;
  };
}
