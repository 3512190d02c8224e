import { ElfinError } from '@elfin/core';
import type { EventSource, Item, UploadEvent } from './events/event.ts';
import { EVENT_SOURCES, parseEnvelope } from './events/parse.ts';
import { runBatch } from './job/batch.ts';
import { createMemoryBudget } from './job/memory-budget.ts';
import { newCounts, type Outcome, type TriggerCounts } from './job/outcome.ts';
import { storeOf } from './job/plan.ts';
import { isPoison, quarantine } from './job/quarantine.ts';
import { withRetries } from './job/retry.ts';
import { coded, restoreObject, type Workshop } from './job/work.ts';
import type { UploadRestorer } from './restorers/restorer.ts';
import { matchesName, parseRules, type Rule, type RuleInput } from './rules/rules.ts';
import type { Notify } from './steps/notify.ts';
import type { Step } from './steps/step.ts';
import { assertConditionalWrites, type Storage } from './storage.ts';

export interface TriggerOptions {
  readonly rules: readonly RuleInput[];
  /** The store of each bucket that is served. */
  readonly storage: Storage;
  readonly restorer: UploadRestorer;
  /** Envelopes that are understood, the particular before the general. Default: all of elfin's. */
  readonly sources?: readonly EventSource[];
  /** What else to do with each result before it is written. */
  readonly steps?: readonly Step[];
  /** Who is told of each result. */
  readonly notify?: Notify;
  /** Objects at work at once. Default 8. */
  readonly concurrency?: number;
  /** Bytes that restorations may take together, by a rough estimate. Default 512 MiB. */
  readonly memory?: number;
  /** Where claims lie and how long one holds. Default `.elfin/claims/`, 2 minutes, a random owner. */
  readonly claims?: { readonly prefix?: string; readonly ttlMs?: number; readonly owner?: string };
  /** Where the reasons of what cannot be restored lie. Default `.elfin/quarantine/`. */
  readonly quarantine?: string;
  /** Tries of what may pass, before the event is left to its queue. Default 3, from 200 ms. */
  readonly retries?: { readonly attempts?: number; readonly baseMs?: number };
  /** No object is begun with less than this left of an invocation. Default 20 s. */
  readonly reserveMs?: number;
  /** Milliseconds since the epoch. Default `Date.now`. */
  readonly now?: () => number;
}

export interface HandleOptions {
  readonly signal?: AbortSignal;
  /** Milliseconds left to this invocation. */
  readonly remaining?: () => number;
}

/** One item of an envelope and what became of it. */
export interface Handled {
  readonly path: string;
  readonly id?: string;
  readonly event?: UploadEvent;
  readonly outcome: Outcome;
}

export interface Trigger {
  readonly rules: readonly Rule[];
  /** Works on one event. Never throws: failures are outcomes. */
  process(event: UploadEvent, options?: HandleOptions): Promise<Outcome>;
  /** Works on any envelope; answers for each of its items, in their order. Never throws. */
  handle(envelope: unknown, options?: HandleOptions): Promise<readonly Handled[]>;
  /**
   * Probes the stores that uploads to these buckets make the rules write to, now rather than at the first event.
   * Errors: STORE_UNSUITABLE, CONFIG_INVALID, and what the store throws.
   */
  check(buckets: readonly string[]): Promise<void>;
  counts(): Readonly<TriggerCounts>;
}

/**
 * Restores what is uploaded: events in, restored objects out, one for each version of each photo, however often and in
 * whatever order the events come.
 *
 * @throws CONFIG_INVALID for rules that are not valid or could loop, and for bounds that are none.
 */
export function createTrigger(options: TriggerOptions): Trigger {
  const quarantinePrefix = options.quarantine ?? '.elfin/quarantine/';
  const claimPrefix = options.claims?.prefix ?? '.elfin/claims/';
  const rules = parseRules(options.rules, [claimPrefix, quarantinePrefix]);
  const { storage, sources = EVENT_SOURCES, concurrency = 8, reserveMs = 20_000, memory = 512 * 1024 * 1024 } = options;
  assertPositive({ concurrency, memory });
  const counts = newCounts();
  const shop: Workshop = {
    storage,
    restorer: options.restorer,
    claims: {
      prefix: claimPrefix,
      ttlMs: options.claims?.ttlMs ?? 120_000,
      owner: options.claims?.owner ?? crypto.randomUUID(),
      now: options.now ?? Date.now,
    },
    steps: options.steps ?? [],
    notify: options.notify,
    memory: createMemoryBudget(memory),
    counts,
  };
  const sound = new Map<string, Promise<void>>();
  const turns = new Map<string, Promise<unknown>>();

  /** Each store is probed once; a probe that failed for a passing reason is made again. */
  function probe(bucket: string): Promise<void> {
    const known = sound.get(bucket);
    if (known) return known;
    const made = (async () => assertConditionalWrites(storeOf(storage, bucket), claimPrefix))();
    sound.set(bucket, made);
    made.catch((error: ElfinError) => error.code === 'STORE_UNSUITABLE' || sound.delete(bucket));
    return made;
  }

  /** Events of one object take turns: a duplicate then finds the result instead of a claim. */
  async function inTurn<T>(key: string, work: () => Promise<T>): Promise<T> {
    const turn = (turns.get(key) ?? Promise.resolve()).then(work, work);
    turns.set(key, turn);
    try {
      return await turn;
    } finally {
      if (turns.get(key) === turn) turns.delete(key);
    }
  }

  async function work(event: UploadEvent, signal: AbortSignal): Promise<Outcome> {
    if (event.kind !== 'created') return { status: 'skipped', reason: `${event.name} puts nothing there` };
    if (event.restored) return { status: 'skipped', reason: "it is elfin's own result" };
    const wanted = rules.filter((rule) => matchesName(rule, event));
    const rule = wanted[0];
    if (rule === undefined) return { status: 'skipped', reason: 'no rule wants it' };
    let known = event;
    const onPlan = ({ etag }: { readonly etag: string }) => {
      known = { ...event, etag };
    };
    try {
      await probe(rule.destinationBucket ?? event.bucket);
      const { attempts = 3, baseMs = 200 } = options.retries ?? {};
      const onRetry = () => counts.retries++;
      const restore = () => restoreObject(shop, event, wanted, signal, onPlan);
      return await withRetries(restore, { attempts, baseMs, signal, onRetry });
    } catch (thrown) {
      const error = coded(thrown, event, signal);
      if (error.code === 'OBJECT_GONE') return { status: 'gone', error };
      if (!isPoison(error)) return { status: 'failed', error };
      try {
        const store = storeOf(storage, rule.destinationBucket ?? event.bucket);
        return {
          status: 'quarantined',
          key: await quarantine(store, quarantinePrefix, known, rule.name, error),
          error,
        };
      } catch (cause) {
        return { status: 'failed', error: coded(cause, event, signal) };
      }
    }
  }

  async function process(event: UploadEvent, { signal, remaining }: HandleOptions = {}): Promise<Outcome> {
    counts.events++;
    const bounds = [signal, remaining && AbortSignal.timeout(Math.max(0, Math.trunc(remaining() - reserveMs / 4)))];
    const bounded = AbortSignal.any(bounds.filter((bound) => bound !== undefined));
    const outcome = await inTurn(JSON.stringify([event.bucket, event.key]), () => work(event, bounded));
    counts[outcome.status]++;
    return outcome;
  }

  const settled = (outcome: Outcome): Outcome => {
    counts.events++;
    counts[outcome.status]++;
    return outcome;
  };
  const late = (): Outcome => {
    const message = 'Too little time was left to begin with this event; it is to be delivered again.';
    return settled({ status: 'failed', error: new ElfinError('DEADLINE_EXCEEDED', message) });
  };
  const answer = (item: Item, outcome: Outcome): Handled => ({
    path: item.path,
    ...(item.id !== undefined && { id: item.id }),
    ...('event' in item && { event: item.event }),
    outcome,
  });

  return {
    rules,
    process,
    async handle(envelope, handling = {}) {
      const toAnswer = async (item: Item): Promise<Handled> => {
        if ('event' in item) return answer(item, await process(item.event, handling));
        if ('error' in item) return answer(item, settled({ status: 'failed', error: item.error }));
        return answer(item, settled({ status: 'skipped', reason: item.ignored }));
      };
      return runBatch(parseEnvelope(envelope, sources), toAnswer, (item) => answer(item, late()), {
        concurrency,
        reserveMs,
        remaining: handling.remaining,
      });
    },
    async check(buckets) {
      const written = buckets.flatMap((bucket) =>
        rules
          .filter((rule) => rule.bucket === undefined || rule.bucket === bucket)
          .map(({ destinationBucket }) => destinationBucket ?? bucket),
      );
      await Promise.all([...new Set(written)].map(probe));
    },
    counts: () => ({ ...counts }),
  };
}

function assertPositive(numbers: Readonly<Record<string, number>>): void {
  const wrong = Object.entries(numbers).find(([, value]) => !(Number.isFinite(value) && value >= 1));
  if (wrong) throw new ElfinError('CONFIG_INVALID', `${wrong[0]} is a number from 1 on, not ${wrong[1]}.`);
}
