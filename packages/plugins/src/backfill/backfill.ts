import { ElfinError, sha256, throwIfAborted } from '@elfin/core';
import type { ObjectHead, ObjectStore } from '@elfin/storage';
import { compact, type UploadEvent } from '../events/event.ts';
import { runBatch } from '../job/batch.ts';
import type { Outcome } from '../job/outcome.ts';
import { matchesName, type Rule } from '../rules/rules.ts';
import type { Trigger } from '../trigger.ts';

/** How far a backfill has come. Good for any later run over the same bucket and prefix that means the same objects. */
export interface BackfillState {
  readonly bucket: string;
  readonly prefix: string;
  /** Of the rules and `purpose`. Older elfins wrote none. */
  readonly digest?: string;
  /** Everything up to this key is settled. */
  readonly after?: string;
  /** Of these, what failed and is tried again by the next run; where a run was cut off, perhaps some that come after. */
  readonly failed: readonly string[];
  /** The last run came to the end of the list. */
  readonly complete: boolean;
}

/** Where the state is kept between runs. */
export interface BackfillCursor {
  load(): Promise<BackfillState | undefined>;
  save(state: BackfillState): Promise<void>;
}

/** What became of one object. */
export type BackfillOutcome = Outcome | { readonly status: 'enqueued' };

/** What a sink is told beside the events, and what it tells. */
export interface BackfillSinkContext {
  readonly signal: AbortSignal | undefined;
  /** To be called once for each event, by its index, as soon as its outcome is known; in any order. */
  readonly onOutcome: (index: number, outcome: BackfillOutcome) => void;
}

/** What listed objects are handed to: a trigger, or a queue. Resolves when each event has its outcome. */
export type BackfillSink = (events: readonly UploadEvent[], context: BackfillSinkContext) => Promise<void>;

/** Which objects of a bucket are meant. */
export interface BackfillPlace {
  readonly bucket: string;
  readonly store: ObjectStore;
  /** Default: the whole bucket. */
  readonly prefix?: string;
  /** Objects whose name no rule wants are not even sent. */
  readonly rules: readonly Rule[];
  readonly filter?: (object: ObjectHead & { readonly key: string }) => boolean;
  readonly signal?: AbortSignal;
}

export interface BackfillOptions extends BackfillPlace {
  readonly sink: BackfillSink;
  readonly cursor?: BackfillCursor;
  /** What `filter` and `sink` are for, in words of one's own: a cursor is good for runs of one purpose. Default: empty. */
  readonly purpose?: string;
  /** More failures than these mean that something else is wrong. Default 1,000. */
  readonly mostFailures?: number;
  /** Milliseconds between two savings of the cursor while a page is at work. Default 1,000. */
  readonly saveEveryMs?: number;
  readonly onOutcome?: (key: string, outcome: BackfillOutcome) => void;
  /** After each object and each page of the list. */
  readonly onProgress?: (report: BackfillReport) => void;
}

export interface BackfillReport {
  listed: number;
  sent: number;
  /** By status: `restored`, `done`, `enqueued`, `failed`, … */
  readonly outcomes: Record<string, number>;
  failed: string[];
}

/**
 * Sends every object that is there already as if it had just been uploaded: page by page, so that memory does not grow with
 * the bucket, and resumable from a cursor that follows the work. What is done is found done: to run it again is harmless.
 *
 * @throws CONFIG_INVALID where the cursor belongs to another bucket or prefix, or stands amid a run by other rules or for
 * another purpose; STORE_FAILED after `mostFailures`, ABORTED.
 */
export async function backfill(options: BackfillOptions): Promise<BackfillReport> {
  const { bucket, prefix = '', sink, cursor, signal, saveEveryMs = 1000, mostFailures = 1000, onProgress } = options;
  const report: BackfillReport = { listed: 0, sent: 0, outcomes: {}, failed: [] };
  const digest = await digestOf(options);
  const state = await cursor?.load();
  if (state) assertSame(state, { bucket, prefix, digest });
  /** What the last run left failed, as far as this one has not come to it. */
  let untried = state?.failed ?? [];
  let after = state?.complete ? undefined : state?.after;
  const save = async (complete: boolean) =>
    cursor?.save({
      bucket,
      prefix,
      digest,
      ...(after !== undefined && { after }),
      failed: [...untried, ...report.failed],
      complete,
    });

  /** @param settledUpTo Called with the last index before which all is settled. */
  async function send(events: readonly UploadEvent[], settledUpTo: (index: number) => void): Promise<void> {
    if (events.length === 0) return;
    const settled = new Set<number>();
    let low = 0;
    let saving: Promise<unknown> = Promise.resolve();
    let saved = Date.now();
    const onOutcome = (index: number, outcome: BackfillOutcome) => {
      // Stopped on the way, not failed: the next run comes to it.
      if (signal?.aborted && outcome.status === 'failed') return;
      report.sent++;
      report.outcomes[outcome.status] = (report.outcomes[outcome.status] ?? 0) + 1;
      if (outcome.status === 'failed') report.failed.push(events[index]!.key);
      settled.add(index);
      while (settled.delete(low)) low++;
      if (low > 0) settledUpTo(low - 1);
      if (cursor && Date.now() - saved >= saveEveryMs) {
        saved = Date.now();
        saving = saving.then(() => save(false));
        // Awaited below.
        saving.catch(() => undefined);
      }
      options.onOutcome?.(events[index]!.key, outcome);
      onProgress?.(report);
    };
    try {
      await sink(events, { signal, onOutcome });
    } finally {
      await saving;
    }
    throwIfAborted(signal);
    if (report.failed.length > mostFailures) {
      throw new ElfinError(
        'STORE_FAILED',
        `More than ${mostFailures} objects failed; see to their cause, then resume.`,
      );
    }
  }

  try {
    const again = untried;
    await send(
      again.map((key) => eventOf(bucket, { key })),
      (index) => {
        untried = again.slice(index + 1);
      },
    );
    for await (const page of wantedPages(options, after)) {
      report.listed += page.listed;
      await send(
        page.objects.map((object) => eventOf(bucket, object)),
        (index) => {
          after = page.objects[index]!.key;
        },
      );
      after = page.last ?? after;
      await save(page.isLast);
      onProgress?.(report);
    }
    return report;
  } catch (error) {
    // What was settled stays settled. That the cursor cannot be written is the lesser of two troubles.
    await save(false).catch(() => undefined);
    throw error;
  }
}

const digestOf = ({ rules, purpose = '' }: BackfillOptions) =>
  sha256(new TextEncoder().encode(JSON.stringify([rules, purpose])));

/** A cursor that stands somewhere, or has failures to try again, would keep another run from objects that it never saw. */
function assertSame(
  state: BackfillState,
  { bucket, prefix, digest }: { readonly bucket: string; readonly prefix: string; readonly digest: string },
): void {
  const refused = (message: string) => new ElfinError('CONFIG_INVALID', message);
  if (state.bucket !== bucket || state.prefix !== prefix) {
    const ours = `${bucket}/${prefix}`;
    throw refused(`The cursor is of ${state.bucket}/${state.prefix}, not of ${ours}; give each its own file.`);
  }
  if (state.digest === digest || (state.complete && state.failed.length === 0)) return;
  if (state.digest === undefined)
    throw refused(
      'The cursor is of an older elfin and does not say by which rules; remove it: what is done is found done.',
    );
  throw refused('The cursor is of a run by other rules, dates or queue; give each its own file, or remove it.');
}

/**
 * Counts what a backfill would send, page by page.
 *
 * @param onCount Called with the number so far.
 * @param after Where a cursor stands.
 */
export async function countWanted(
  place: BackfillPlace,
  onCount: (count: number) => void,
  after?: string,
): Promise<number> {
  let count = 0;
  for await (const { objects } of wantedPages(place, after)) {
    count += objects.length;
    onCount(count);
  }
  return count;
}

interface Page {
  readonly objects: readonly (ObjectHead & { readonly key: string })[];
  readonly listed: number;
  /** Where the next page begins. */
  readonly last: string | undefined;
  readonly isLast: boolean;
}

/** Pages of the list, by what the rules want of them. */
export async function* wantedPages(place: BackfillPlace, after?: string): AsyncGenerator<Page> {
  const { bucket, store, prefix = '', rules, filter = () => true, signal } = place;
  for (let cursor = after; ; ) {
    throwIfAborted(signal);
    const page = await store.list(prefix, cursor);
    const named = page.objects.filter(({ key }) => rules.some((rule) => matchesName(rule, { bucket, key })));
    const last = page.cursor ?? page.objects.at(-1)?.key;
    yield { objects: named.filter(filter), listed: page.objects.length, last, isLast: page.cursor === undefined };
    if (page.cursor === undefined) return;
    cursor = page.cursor;
  }
}

const eventOf = (bucket: string, object: { readonly key: string } & Partial<ObjectHead>) =>
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

/** Restores here and now, so many at once. */
export const restoreHere =
  (trigger: Pick<Trigger, 'process'>, concurrency = 8): BackfillSink =>
  async (events, { signal, onOutcome }) => {
    const work = async ([index, event]: readonly [number, UploadEvent]) => {
      if (!signal?.aborted) onOutcome(index, await trigger.process(event, signal ? { signal } : {}));
    };
    await runBatch([...events.entries()], work, () => undefined, { concurrency, reserveMs: 0 });
  };
