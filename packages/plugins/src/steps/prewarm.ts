import { type Codec, type ResultOptions, resultKey } from '@elfin/core';
import type { UploadEvent } from '../events/event.ts';
import type { UploadRestorer } from '../restorers/restorer.ts';
import type { Step } from './step.ts';

/** An image as the edge tells of it. */
interface Side {
  readonly bytes: number;
  readonly width: number;
  readonly height: number;
  readonly format: string;
}

/** The part of the edge's result store that is used; its `createResultStore(store)` fits. */
export interface PrewarmedResults {
  putResult(
    key: string,
    result: {
      readonly bytes: Uint8Array;
      readonly type: string;
      readonly info: {
        readonly input: Side;
        readonly output: Side;
        readonly restored?: {
          readonly task: string;
          readonly model: string;
          readonly digest: string;
          readonly by: string;
          readonly provider: string;
        };
      };
    },
  ): Promise<unknown>;
}

export interface PrewarmOptions {
  readonly results: PrewarmedResults;
  /** What URLs call the source, for example `r2://PHOTOS/incoming/a.jpg`. */
  readonly sourceName: (event: UploadEvent) => string;
  /** The edge's codec: its name and version are part of each key. */
  readonly codec: Pick<Codec, 'name' | 'version' | 'probe'>;
  /** The trigger's restorer; its models are part of each key. */
  readonly restorer: Pick<UploadRestorer, 'models'>;
}

/**
 * A step that also puts each result where the edge looks for it, under the very key that a URL with the rule's options asks
 * for: the first visitor waits for nothing. The URL has to ask for the rule's task, model, strength, quality, metadata and
 * format, in the source's own size.
 */
export function createPrewarmStep({ results, sourceName, codec, restorer }: PrewarmOptions): Step {
  const sideOf = async (bytes: Uint8Array): Promise<Side> => {
    const { width, height, format } = await codec.probe(bytes);
    return { bytes: bytes.byteLength, width, height, format };
  };
  return {
    name: 'prewarm',
    async run({ event, options, source, result }) {
      const models = await restorer.models(options);
      const { versionId, etag } = source;
      const validator = versionId === undefined ? { etag } : { version: versionId };
      const key = await resultKey({ source: sourceName(event), validator, options, models, codec });
      const [input, output] = await Promise.all([sideOf(source.bytes), sideOf(result.bytes)]);
      await results.putResult(key, {
        bytes: result.bytes,
        type: result.type,
        info: { input, output, ...restoredBy(options, models, result.report) },
      });
    },
  };
}

function restoredBy({ restore, model = 'lw' }: ResultOptions, [digest = '']: readonly string[], report: object = {}) {
  if (restore === 'none') return {};
  const told = report as { readonly task?: string; readonly model?: string; readonly digest?: string };
  return {
    restored: {
      task: told.task ?? restore,
      model: told.model ?? model,
      digest: told.digest ?? digest,
      by: 'upload',
      provider: 'unknown',
    },
  };
}
