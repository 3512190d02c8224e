import type { ResultOptions } from '@elfin/core';
import type { UploadEvent } from '../events/event.ts';
import type { Rule } from '../rules/rules.ts';
import type { Storage } from '../storage.ts';

/** What a step has at hand: the source, the result that is about to be written, and every store. */
export interface StepContext {
  readonly event: UploadEvent;
  readonly rule: Rule;
  readonly options: ResultOptions;
  readonly source: {
    readonly bytes: Uint8Array;
    readonly etag: string;
    /** Where the bucket keeps versions. */
    readonly versionId?: string | undefined;
    readonly type?: string | undefined;
    readonly metadata: Readonly<Record<string, string>>;
  };
  readonly result: {
    readonly bucket: string;
    readonly key: string;
    readonly bytes: Uint8Array;
    readonly type: string;
    /** What the restorer said of it. */
    readonly report?: Readonly<Record<string, unknown>> | undefined;
  };
  /**
   * Metadata that marks an object as elfin's own. Whatever a step writes where a rule could see it must carry it.
   */
  readonly marks: Readonly<Record<string, string>>;
  readonly storage: Storage;
  readonly signal: AbortSignal;
}

/**
 * Something more to do with each result, such as a thumbnail. Steps run in order before the result is written: the result
 * says that everything is done. So a step may run again for the same source after a crash, and must not mind.
 * A step that throws fails the event; an ElfinError's code decides whether it is tried again, any other error is.
 */
export interface Step {
  readonly name: string;
  run(context: StepContext): Promise<void>;
}
