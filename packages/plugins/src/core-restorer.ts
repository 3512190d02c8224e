import { type Codec, type Models, type Restorer, TASKS } from '@elfin/core';
import type { UploadRestorer } from './restorer.ts';

export interface CoreRestorerOptions {
  readonly restorer: Restorer;
  /** The one that the restorer decodes with; it also encodes. */
  readonly codec: Codec;
  /** The ones that the restorer restores with: their digests are part of each result's name. */
  readonly models: Models;
}

/**
 * Core's restorer as a trigger wants it: encoded bytes in, encoded bytes out. An `auto` result is named after every model
 * that might have made it.
 */
export function createUploadRestorer({ restorer, codec, models }: CoreRestorerOptions): UploadRestorer {
  return {
    codec: { name: codec.name, version: codec.version },
    async models({ restore, model = 'lw' }) {
      if (restore === 'none') return [];
      const tasks = restore === 'auto' ? TASKS : [restore];
      const refs = await Promise.all(tasks.map((task) => models.resolve(task, model)));
      return refs.map(({ digest }) => digest);
    },
    async restoreBytes(bytes, options, { signal }) {
      const { restore: task, model = 'lw', strength = 1, format, quality, metadata: policy = 'none' } = options;
      if (task === 'none') {
        const { metadata, header: _, ...image } = await codec.decode(bytes, { signal });
        return {
          bytes: await codec.encode(image, { format, metadata, policy, ...(quality !== undefined && { quality }) }),
        };
      }
      const { image, metadata, report } = await restorer.restore(bytes, { task, model, strength, signal });
      const encoded = await codec.encode(image, {
        format,
        metadata,
        policy,
        ...(quality !== undefined && { quality }),
      });
      return { bytes: encoded, report: { ...report } };
    },
  };
}
