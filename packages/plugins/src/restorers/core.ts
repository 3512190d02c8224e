import {
  type Codec,
  ElfinError,
  type Metadata,
  type MetadataPolicy,
  type Models,
  type OutputFormat,
  type RestoreOptions,
  type Restorer,
  restoreOptionsOf,
  resultModels,
} from '@elfin/core';
import type { RestoredBytes, UploadRestorer } from './restorer.ts';

/** The part of core's Node restorer that is used: encoded in, encoded out, in memory bounded whatever the image's size. */
export interface EncodedRestorer {
  restoreEncoded(
    input: Uint8Array,
    options: RestoreOptions & {
      readonly format: OutputFormat;
      readonly quality?: number | undefined;
      readonly metadata: MetadataPolicy;
    },
  ): Promise<{ readonly bytes: Uint8Array; readonly report: object }>;
}

export interface CoreRestorerOptions {
  /** Core's; the one of `@elfin/core/node` is used through `restoreEncoded`. */
  readonly restorer: Restorer | EncodedRestorer;
  /** The one that the restorer decodes with; it also encodes. */
  readonly codec: Codec;
  /** The ones that the restorer restores with: their digests are part of each result's name. */
  readonly models: Models;
  /** Most pixels of an image that is restored here, where memory or time is short. Default: no limit but the codec's own. */
  readonly maxPixels?: number;
}

/**
 * Core's restorer as a trigger wants it: encoded bytes in, encoded bytes out. An `auto` result is named after every model
 * that might have made it. Errors of `restoreBytes`: the restorer's; RUNTIME_UNAVAILABLE above `maxPixels`.
 */
export function createUploadRestorer(options: CoreRestorerOptions): UploadRestorer {
  const { restorer, codec, models, maxPixels = Number.POSITIVE_INFINITY } = options;
  return {
    codec: { name: codec.name, version: codec.version },
    models: (wanted) => resultModels(models, wanted),
    async restoreBytes(bytes, wanted, { signal, onProgress }) {
      const { format, quality, icc, metadata: policy = 'none' } = wanted;
      const lossy = quality === undefined ? {} : { quality };
      if (maxPixels < Number.POSITIVE_INFINITY) {
        // The header alone is read: the image is not worth its memory here.
        const { width, height } = await codec.probe(bytes);
        if (width * height > maxPixels) {
          const message = `The image is ${width} × ${height}, more than the ${maxPixels} pixels that are restored here; have workers restore it.`;
          throw new ElfinError('RUNTIME_UNAVAILABLE', message, { data: { width, height, maxPixels } });
        }
      }
      const encode = async (image: Parameters<Codec['encode']>[0], metadata: Metadata, report?: object) => {
        const header = await codec.probe(bytes);
        const lossless = header.lossless && header.format === format && quality === undefined;
        const encoded = await codec.encode(image, { format, metadata, policy, lossless, ...lossy });
        return { bytes: encoded, ...(report && { report: { ...report } }) } satisfies RestoredBytes;
      };
      if (wanted.restore === 'none') {
        const { metadata, header: _, ...image } = await codec.decode(bytes, { icc, signal });
        return encode(image, metadata);
      }
      const how = { ...restoreOptionsOf(wanted), icc, signal, ...(onProgress && { onProgress: () => onProgress() }) };
      if ('restoreEncoded' in restorer) {
        const done = await restorer.restoreEncoded(bytes, { ...how, format, quality, metadata: policy });
        return { bytes: done.bytes, report: { ...done.report } };
      }
      const { image, metadata, report } = await restorer.restore(bytes, how);
      return encode(image, metadata, report);
    },
  };
}
