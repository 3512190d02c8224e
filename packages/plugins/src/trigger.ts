import { ElfinError, isElfinError, pickResultOptions } from '@elfin/core';
import type { EventSource, Item, UploadEvent } from './events/event.ts';
import { EVENT_SOURCES, parseEnvelope } from './events/parse.ts';
import { runBatch } from './job/batch.ts';
import { createMemoryBudget } from './job/memory-budget.ts';
import { newCounts, type Outcome, type TriggerCounts } from './job/outcome.ts';
import { createPace } from './job/pace.ts';
import { storeOf } from './job/plan.ts';
import { isPoison, quarantine } from './job/quarantine.ts';
import { withRetries } from './job/retry.ts';
import { type JobDeps, type Limits, restoreObject, toElfinError } from './job/work.ts';
import { errorFacts, logEntry, outcomeFacts, type UploadLog, uploadId } from './log.ts';
import type { UploadRestorer } from './restorers/restorer.ts';
import { matchesName, parseRules, type Rule, type RuleInput } from './rules/rules.ts';
import { failureOf, type Notify } from './steps/notify.ts';
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
  /** Who is told of each result, and of each upload that no retry will mend. */
  readonly notify?: Notify | undefined;
  /** Takes a line for each event that comes, is tried again, and comes to its end. */
  readonly log?: UploadLog | undefined;
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
  /** Milliseconds that one object may take in all, tries included. Default 15 minutes. */
  readonly deadlineMs?: number | undefined;
  /** Milliseconds without any progress after which an object's claim is given up. Default 6 minutes. */
  readonly stallMs?: number | undefined;
  /**
   * Milliseconds that a megapixel takes, until it has been measured: with `remaining`, what does not fit into the time left
   * is not begun. Default 5,000.
   */
  readonly msPerMegapixel?: number | undefined;
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
   * Probes the stores that uploads to these buckets make the rules write to, and looks for each rule's model, now rather than
   * at the first event. Errors: STORE_UNSUITABLE, CONFIG_INVALID, MODEL_UNKNOWN, and what the store throws.
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
  const { sources = EVENT_SOURCES, concurrency = 8, reserveMs = 20_000, log } = options;
  const trigger = createUploads(options);
  const { counts } = trigger;

  const settled = (outcome: Outcome): Outcome => {
    counts.events++;
    counts[outcome.status]++;
    return outcome;
  };
  const told = (item: Item, outcome: Outcome): Outcome => {
    log?.(logEntry(outcome.status, item.id ?? item.path, undefined, outcomeFacts(outcome)));
    return settled(outcome);
  };
  const late = (item: Item): Outcome => {
    const message = 'Too little time was left to begin with this event; it is to be delivered again.';
    return told(item, { status: 'failed', error: new ElfinError('DEADLINE_EXCEEDED', message) });
  };
  const answer = (item: Item, outcome: Outcome): Handled => ({
    path: item.path,
    ...(item.id !== undefined && { id: item.id }),
    ...('event' in item && { event: item.event }),
    outcome,
  });

  return {
    rules: trigger.rules,
    process: trigger.process,
    async handle(envelope, handling = {}) {
      const toAnswer = async (item: Item): Promise<Handled> => {
        if ('event' in item) return answer(item, await trigger.process(item.event, handling));
        if ('error' in item) return answer(item, told(item, { status: 'failed', error: item.error }));
        return answer(item, told(item, { status: 'skipped', reason: item.ignored }));
      };
      return runBatch(parseEnvelope(envelope, sources), toAnswer, (item) => answer(item, late(item)), {
        concurrency,
        reserveMs,
        remaining: handling.remaining,
      });
    },
    check: trigger.check,
    counts: () => ({ ...counts }),
  };
}

/** The part of a trigger that knows single events. */
function createUploads(options: TriggerOptions) {
  const quarantinePrefix = options.quarantine ?? '.elfin/quarantine/';
  const claimPrefix = options.claims?.prefix ?? '.elfin/claims/';
  const rules = parseRules(options.rules, [claimPrefix, quarantinePrefix]);
  const { storage, reserveMs = 20_000, deadlineMs = 15 * 60_000, log } = options;
  const counts = newCounts();
  const deps = depsOf(options, claimPrefix, counts);
  const probe = createProbe(storage, claimPrefix);
  const inTurn = createTurns();

  async function work(event: UploadEvent, id: string, limits: Limits): Promise<Outcome> {
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
      const onRetry = (error: ElfinError) => {
        counts.retries++;
        log?.(logEntry('retried', id, event, errorFacts(error)));
      };
      const restore = () => restoreObject(deps, event, wanted, limits, onPlan);
      return await withRetries(restore, { attempts, baseMs, signal: limits.signal, onRetry });
    } catch (thrown) {
      const error = toElfinError(thrown, event, limits.signal);
      if (error.code === 'OBJECT_GONE') return { status: 'gone', error };
      return isPoison(error) ? setAside(known, rule, error, limits.signal) : { status: 'failed', error };
    }
  }

  async function setAside(event: UploadEvent, rule: Rule, error: ElfinError, signal: AbortSignal): Promise<Outcome> {
    try {
      const store = storeOf(storage, rule.destinationBucket ?? event.bucket);
      return { status: 'quarantined', key: await quarantine(store, quarantinePrefix, event, rule.name, error), error };
    } catch (cause) {
      return { status: 'failed', error: toElfinError(cause, event, signal) };
    }
  }

  /** Tells of what no retry will mend. That nobody hears it changes nothing about the upload. */
  async function tell(event: UploadEvent, outcome: Outcome): Promise<void> {
    const final = outcome.status === 'quarantined' || (outcome.status === 'failed' && !outcome.error.retry);
    if (!options.notify || !final) return;
    const { id, notification } = await failureOf(event, outcome);
    await options.notify(id, notification, AbortSignal.timeout(30_000)).catch((error: Error) => {
      log?.(logEntry('failed', id, event, { code: 'NETWORK_FAILED', message: error.message, retry: true }));
    });
  }

  async function process(event: UploadEvent, { signal, remaining }: HandleOptions = {}): Promise<Outcome> {
    counts.events++;
    const id = log ? await uploadId(event) : '';
    log?.(logEntry('received', id, event));
    const outcome = await inTurn(JSON.stringify([event.bucket, event.key]), async () => {
      const begun = Date.now();
      const left = remaining ? Math.max(0, remaining() - reserveMs / 4) : deadlineMs;
      const made = await underDeadline(event, Math.min(left, deadlineMs), signal, (bounded) =>
        work(event, id, { signal: bounded, remaining: remaining && (() => remaining() - reserveMs) }),
      );
      log?.(logEntry(made.status, id, event, { ...outcomeFacts(made), ms: Date.now() - begun }));
      return made;
    });
    counts[outcome.status]++;
    await tell(event, outcome);
    return outcome;
  }

  async function check(buckets: readonly string[]): Promise<void> {
    const written = buckets.flatMap((bucket) =>
      rules
        .filter((rule) => rule.bucket === undefined || rule.bucket === bucket)
        .map(({ destinationBucket }) => destinationBucket ?? bucket),
    );
    await Promise.all([...new Set(written)].map(probe));
    await Promise.all(rules.map((rule) => assertModel(rule, options.restorer)));
  }

  return { rules, counts, process, check };
}

/** @throws CONFIG_INVALID for bounds that are none. */
function depsOf(options: TriggerOptions, claimPrefix: string, counts: TriggerCounts): JobDeps {
  const { concurrency = 8, memory = 512 * 1024 * 1024, msPerMegapixel = 5000, now = Date.now } = options;
  const { deadlineMs = 15 * 60_000, stallMs = 6 * 60_000 } = options;
  assertPositive({ concurrency, memory, msPerMegapixel, deadlineMs, stallMs });
  return {
    storage: options.storage,
    restorer: options.restorer,
    claims: {
      prefix: claimPrefix,
      ttlMs: options.claims?.ttlMs ?? 120_000,
      owner: options.claims?.owner ?? crypto.randomUUID(),
      now,
    },
    stallMs,
    steps: options.steps ?? [],
    notify: options.notify,
    memory: createMemoryBudget(memory),
    pace: createPace(msPerMegapixel),
    counts,
  };
}

/** @throws MODEL_UNKNOWN where the restorer has no model for a rule, naming the rule; whatever else it throws is for later. */
async function assertModel(rule: Rule, restorer: UploadRestorer): Promise<void> {
  const format = rule.format === 'auto' ? 'jpeg' : rule.format;
  await restorer.models({ ...pickResultOptions(rule), restore: rule.task, format }).catch((error: unknown) => {
    if (!isElfinError(error) || error.code !== 'MODEL_UNKNOWN') return;
    throw new ElfinError('MODEL_UNKNOWN', `${rule.name} cannot be used: ${error.message}`, { cause: error });
  });
}

/** Each store is probed once; a probe that failed for a passing reason is made again. */
function createProbe(storage: Storage, claimPrefix: string): (bucket: string) => Promise<void> {
  const known = new Map<string, Promise<void>>();
  return (bucket) => {
    const before = known.get(bucket);
    if (before) return before;
    const made = (async () => assertConditionalWrites(storeOf(storage, bucket), claimPrefix))();
    known.set(bucket, made);
    made.catch((error: ElfinError) => error.code === 'STORE_UNSUITABLE' || known.delete(bucket));
    return made;
  };
}

/** Events of one object take turns: a duplicate then finds the result instead of a claim. */
function createTurns() {
  const turns = new Map<string, Promise<unknown>>();
  return async <T>(key: string, work: () => Promise<T>): Promise<T> => {
    const turn = (turns.get(key) ?? Promise.resolve()).then(work, work);
    turns.set(key, turn);
    try {
      return await turn;
    } finally {
      if (turns.get(key) === turn) turns.delete(key);
    }
  };
}

/** What still answers to nothing this long after it was told to stop is left to itself. */
const GRACE_MS = 10_000;

/** `work` under a signal that fires after `ms` or with the caller's; it is not waited for where it does not listen. */
async function underDeadline(
  event: UploadEvent,
  ms: number,
  caller: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<Outcome>,
): Promise<Outcome> {
  const control = new AbortController();
  const stop = () => control.abort(caller?.reason);
  if (caller?.aborted) stop();
  caller?.addEventListener('abort', stop, { once: true });
  const timer = setTimeout(() => control.abort(new ElfinError('DEADLINE_EXCEEDED', 'Its time is over.')), ms);
  let grace: ReturnType<typeof setTimeout> | undefined;
  const deaf = new Promise<Outcome>((resolve) => {
    control.signal.addEventListener('abort', () => {
      grace = setTimeout(() => {
        const message = `The work on "${event.key}" did not stop when its time was over; it is to be delivered again.`;
        resolve({ status: 'failed', error: new ElfinError('DEADLINE_EXCEEDED', message) });
      }, GRACE_MS);
    });
  });
  try {
    return await Promise.race([work(control.signal), deaf]);
  } finally {
    clearTimeout(timer);
    clearTimeout(grace);
    caller?.removeEventListener('abort', stop);
  }
}

function assertPositive(numbers: Readonly<Record<string, number>>): void {
  const wrong = Object.entries(numbers).find(([, value]) => !(Number.isFinite(value) && value >= 1));
  if (wrong) throw new ElfinError('CONFIG_INVALID', `${wrong[0]} is a number from 1 on, not ${wrong[1]}.`);
}
