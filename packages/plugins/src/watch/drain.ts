import { ElfinError } from '@elfin/core';
import { pause } from '../job/retry.ts';
import type { Handled, Trigger } from '../trigger.ts';
import { type Journal, takenAt } from './journal.ts';
import type { Backlog } from './metrics.ts';

export interface DrainOptions {
  readonly journal: Journal;
  readonly trigger: Trigger;
  /** Events at work at once. Default 8. */
  readonly concurrency?: number;
  /**
   * Milliseconds for which an event that may pass is tried, from its first try by this process; then it is set aside.
   * Default 7 days: a store that is down over a weekend loses nothing.
   */
  readonly patienceMs?: number;
  /** First pause of an event that failed; doubled each time up to half an hour. Default 1 s. */
  readonly baseMs?: number;
  readonly onHandled?: (handled: readonly Handled[]) => void;
}

export interface Drain {
  /** What is still to be done, by the time at which it was taken. */
  backlog(): Backlog;
  /** Resolves when nothing is at work or waiting. */
  idle(): Promise<void>;
  /** Begins nothing more; resolves when what has begun is done. The rest stays in the journal. */
  stop(): Promise<void>;
}

const LONGEST_MS = 30 * 60 * 1000;
const PERSON_MS = 5 * 60 * 1000;
const PATIENCE_MS = 7 * 24 * 60 * 60 * 1000;

/** An event at hand. */
interface Entry {
  readonly name: string;
  readonly tries: number;
  /** When it was first tried here: what waited while nothing ran has not been tried. */
  readonly since?: number;
}

/**
 * Works off a journal: what earlier processes left first, then what comes. An event of which something may still pass
 * waits and comes again; one that no retry will mend, or that failed for too long, is set aside with its reason.
 */
export async function startDrain(options: DrainOptions): Promise<Drain> {
  const { journal, trigger, concurrency = 8, patienceMs = PATIENCE_MS, baseMs = 1000 } = options;
  const stopping = new AbortController();
  const queue: Entry[] = [];
  const resting = new Set<Promise<void>>();
  const working = new Set<Promise<void>>();
  const known = new Set<string>();

  const add = (name: string) => {
    if (known.has(name)) return;
    known.add(name);
    queue.push({ name, tries: 0 });
    begin();
  };
  const begin = () => {
    while (working.size < concurrency && queue.length > 0 && !stopping.signal.aborted) {
      const work = attempt(queue.shift()!).finally(() => {
        working.delete(work);
        begin();
      });
      working.add(work);
    }
  };
  const rest = (entry: Entry, ms: number) => {
    const waiting = pause(ms, stopping.signal).then(() => {
      resting.delete(waiting);
      queue.push(entry);
      begin();
    });
    resting.add(waiting);
  };

  async function attempt(entry: Entry): Promise<void> {
    const { name, tries, since = Date.now() } = entry;
    try {
      const event = await journal.read(name).catch((error: unknown) => {
        if (error instanceof SyntaxError) return unreadable(name, error);
        throw error;
      });
      if (event === undefined) return forget(name);
      const handled = await trigger.handle(event, { signal: stopping.signal });
      options.onHandled?.(handled);
      const errors = handled.flatMap(({ outcome }) => (outcome.status === 'failed' ? [outcome.error] : []));
      if (errors.length === 0) {
        await journal.done(name);
        return forget(name);
      }
      // Cut off, not failed: the next process takes it up.
      if (stopping.signal.aborted) return;
      // One record that may pass keeps its envelope: those beside it are found done, or fail as they did.
      const waits = errors.filter((error) => error.retry || error.data.remedy === 'person');
      if (waits.length > 0 && Date.now() - since < patienceMs) {
        const told = errors.map(({ data }) => (typeof data.retryAfterMs === 'number' ? data.retryAfterMs : 0));
        // A policy or a key that somebody has to mend is looked after every few minutes.
        const slow = waits.some((error) => error.retry) ? 0 : PERSON_MS * (0.5 + Math.random() / 2);
        return rest({ name, tries: tries + 1, since }, Math.max(...told, slow, backOff(tries)));
      }
      await bury(name, tries + 1, errors);
    } catch {
      // The journal itself failed, a full disk perhaps. The event stays in it.
      rest(entry, backOff(tries));
    }
  }
  const bury = async (name: string, tries: number, errors: readonly ElfinError[]) => {
    await journal.bury(name, { tries, errors: errors.map(({ code, message, data }) => ({ code, message, data })) });
    forget(name);
  };
  /** A file that is no event: a disk that lost its end, or somebody's hand. */
  const unreadable = async (name: string, cause: SyntaxError) => {
    const message = `${name} in the journal is no JSON (${cause.message}); it is set aside.`;
    const error = new ElfinError('EVENT_INVALID', message, { cause });
    await bury(name, 1, [error]);
    options.onHandled?.([{ path: '$', outcome: { status: 'failed', error } }]);
  };
  const forget = (name: string) => {
    known.delete(name);
  };
  const backOff = (tries: number) => Math.min(LONGEST_MS, baseMs * 2 ** tries) * (0.5 + Math.random() / 2);

  journal.onAppend(add);
  for (const name of await journal.pending()) add(name);
  return {
    backlog() {
      const times = [...known].map(takenAt).filter((time) => !Number.isNaN(time));
      return { pending: known.size, oldestMs: times.length > 0 ? Math.max(0, Date.now() - Math.min(...times)) : 0 };
    },
    async idle() {
      while (working.size + resting.size + queue.length > 0) await Promise.race([...working, ...resting, pause(50)]);
    },
    async stop() {
      stopping.abort();
      await Promise.all(working);
    },
  };
}
