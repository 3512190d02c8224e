import type { ElfinError } from '@elfin/core';

/** What became of one event. All but `failed` are settled: their message may be acknowledged. */
export type Outcome =
  /** A result was made and written now. */
  | {
      readonly status: 'restored';
      readonly key: string;
      readonly bucket: string;
      readonly report?: Readonly<Record<string, unknown>> | undefined;
    }
  /** The result was there already: a duplicate, or late. */
  | { readonly status: 'done'; readonly key: string; readonly bucket: string }
  /** Nothing to do, and why: no rule wants it, it is elfin's own result, it was deleted, a test event. */
  | { readonly status: 'skipped'; readonly reason: string }
  /** The object is not there any more (OBJECT_GONE). */
  | { readonly status: 'gone'; readonly error: ElfinError }
  /** No retry will help; the reason lies in the quarantine. */
  | { readonly status: 'quarantined'; readonly key: string; readonly error: ElfinError }
  /** Not done. `error.retry` tells whether coming again may help. */
  | { readonly status: 'failed'; readonly error: ElfinError };

/** What a trigger has done since it was made. */
export interface TriggerCounts {
  /** Items of all envelopes, whatever became of them. */
  events: number;
  restored: number;
  done: number;
  skipped: number;
  gone: number;
  quarantined: number;
  failed: number;
  /** Times that the restorer was asked. */
  inferences: number;
  /** Of these, times that another worker's result was there first. */
  repeated: number;
  /** Events that spoke of an older version than the one in the store. */
  stale: number;
  /** Claims taken over from workers that had died. */
  takeovers: number;
  retries: number;
  notifications: number;
}

export const newCounts = (): TriggerCounts => ({
  events: 0,
  restored: 0,
  done: 0,
  skipped: 0,
  gone: 0,
  quarantined: 0,
  failed: 0,
  inferences: 0,
  repeated: 0,
  stale: 0,
  takeovers: 0,
  retries: 0,
  notifications: 0,
});
