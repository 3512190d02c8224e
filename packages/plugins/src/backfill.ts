import { ElfinError, type ObjectHead, type ObjectStore, throwIfAborted } from '@elfin/core';
import { runBatch } from './batch.ts';
import { compact, type UploadEvent } from './events/event.ts';
import type { Outcome } from './outcome.ts';
import { matchesName, type Rule } from './rules.ts';
import type { Trigger } from './trigger.ts';

/** How far a backfill has come. Good for any later run over the same bucket and prefix. */
export interface BackfillState {
  readonly bucket: string;
  readonly prefix: string;
  /** Everything up to this key has been sent. */
  readonly after?: string;
  /** Of these, what failed and is tried again by the next run. */
  readonly failed: readonly string[];
  /** The last run came to the end of the list. */
  readonly complete: boolean;
}

/** Where the state is kept between runs. */
export interface BackfillCursor {
  load(): Promise<BackfillState | undefined>;
  save(state: BackfillState): Promise<void>;
}

/** What a listed object is handed to: a trigger, or a queue. Answers for each in order. */
export type BackfillSink = (
  events: readonly UploadEvent[],
  signal: AbortSignal | undefined,
) => Promise<readonly (Outcome | { readonly status: 'enqueued' })[]>;

export interface BackfillOptions {
  readonly bucket: string;
  readonly store: ObjectStore;
  /** Default: the whole bucket. */
  readonly prefix?: string;
  /** Objects whose name no rule wants are not even sent. */
  readonly rules: readonly Rule[];
  readonly filter?: (object: ObjectHead & { readonly key: string }) => boolean;
  readonly sink: BackfillSink;
  readonly cursor?: BackfillCursor;
  /** After each page of the list: at most 1,000 objects. */
  readonly onProgress?: (report: BackfillReport) => void;
  readonly signal?: AbortSignal;
}

export interface BackfillReport {
  listed: number;
  sent: number;
  /** By status: `restored`, `done`, `enqueued`, `failed`, … */
  readonly outcomes: Record<string, number>;
  failed: string[];
}

/** So many failures mean that something else is wrong. */
const MOST_FAILURES = 1000;

/**
 * Sends every object that is there already as if it had just been uploaded: page by page, so that memory does not grow with
 * the bucket, and resumable from a cursor after each page. What is done is found done: to run it again is harmless.
 *
 * @throws CONFIG_INVALID where the cursor belongs to another bucket or prefix, STORE_FAILED after 1,000 failures, ABORTED.
 */
export async function backfill(options: BackfillOptions): Promise<BackfillReport> {
  const { bucket, store, prefix = '', rules, filter = () => true, sink, cursor, signal } = options;
  const report: BackfillReport = { listed: 0, sent: 0, outcomes: {}, failed: [] };
  const state = await cursor?.load();
  if (state && (state.bucket !== bucket || state.prefix !== prefix)) {
    const message = `The cursor is of ${state.bucket}/${state.prefix}, not of ${bucket}/${prefix}; give each its own file.`;
    throw new ElfinError('CONFIG_INVALID', message);
  }

  const send = async (events: readonly UploadEvent[]) => {
    const outcomes = events.length > 0 ? await sink(events, signal) : [];
    report.sent += events.length;
    for (const [index, outcome] of outcomes.entries()) {
      report.outcomes[outcome.status] = (report.outcomes[outcome.status] ?? 0) + 1;
      if (outcome.status === 'failed') report.failed.push(events[index]!.key);
    }
    if (report.failed.length > MOST_FAILURES) {
      throw new ElfinError(
        'STORE_FAILED',
        `More than ${MOST_FAILURES} objects failed; see to their cause, then resume.`,
      );
    }
  };
  const save = (after: string | undefined, complete: boolean) =>
    cursor?.save({ bucket, prefix, ...(after !== undefined && { after }), failed: report.failed, complete });

  const event = (object: { key: string } & Partial<ObjectHead>) =>
    compact<UploadEvent>({
      kind: 'created',
      name: 'Backfill',
      source: 'backfill',
      bucket,
      key: object.key,
      etag: object.etag,
      size: object.size,
      time: object.modified,
    });

  await send((state?.failed ?? []).map((key) => event({ key })));
  let after = state?.complete ? undefined : state?.after;
  for (;;) {
    throwIfAborted(signal);
    const page = await store.list(prefix, after);
    const wanted = page.objects.filter((object) =>
      rules.some((rule) => matchesName(rule, { bucket, key: object.key })),
    );
    await send(wanted.filter(filter).map(event));
    report.listed += page.objects.length;
    after = page.cursor ?? page.objects.at(-1)?.key ?? after;
    await save(after, page.cursor === undefined);
    options.onProgress?.(report);
    if (page.cursor === undefined) return report;
  }
}

/** Restores here and now, so many at once. */
export const restoreHere =
  (trigger: Trigger, concurrency = 8): BackfillSink =>
  (events, signal) =>
    runBatch(
      events,
      (event) => trigger.process(event, signal ? { signal } : {}),
      () => {
        throw new ElfinError('ABORTED', 'The backfill ran out of time; run it again to go on.');
      },
      { concurrency, reserveMs: 0 },
    );
