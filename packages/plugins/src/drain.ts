import type { Journal } from './journal.ts';
import { pause } from './retry.ts';
import type { Handled, Trigger } from './trigger.ts';

export interface DrainOptions {
  readonly journal: Journal;
  readonly trigger: Trigger;
  /** Events at work at once. Default 8. */
  readonly concurrency?: number;
  /** Tries of an event before it is set aside. Default 12: with the back-off, about two hours. */
  readonly attempts?: number;
  /** First pause of an event that failed; doubled each time up to half an hour. Default 1 s. */
  readonly baseMs?: number;
  readonly onHandled?: (handled: readonly Handled[]) => void;
}

export interface Drain {
  /** Resolves when nothing is at work or waiting. */
  idle(): Promise<void>;
  /** Begins nothing more; resolves when what has begun is done. The rest stays in the journal. */
  stop(): Promise<void>;
}

const LONGEST_MS = 30 * 60 * 1000;

/**
 * Works off a journal: what earlier processes left first, then what comes. An event that failed but may pass waits and
 * comes again; one that no retry will mend, or that failed too often, is set aside with its reason.
 */
export async function startDrain(options: DrainOptions): Promise<Drain> {
  const { journal, trigger, concurrency = 8, attempts = 12, baseMs = 1000 } = options;
  const stopping = new AbortController();
  const queue: { readonly name: string; readonly tries: number }[] = [];
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
      const { name, tries } = queue.shift()!;
      const work = attempt(name, tries).finally(() => {
        working.delete(work);
        begin();
      });
      working.add(work);
    }
  };
  const rest = (name: string, tries: number, ms: number) => {
    const waiting = pause(ms, stopping.signal).then(() => {
      resting.delete(waiting);
      queue.push({ name, tries });
      begin();
    });
    resting.add(waiting);
  };

  async function attempt(name: string, tries: number): Promise<void> {
    try {
      const event = await journal.read(name);
      if (event === undefined) return forget(name);
      const handled = await trigger.handle(event, { signal: stopping.signal });
      options.onHandled?.(handled);
      const errors = handled.flatMap(({ outcome }) => (outcome.status === 'failed' ? [outcome.error] : []));
      if (errors.length === 0) {
        await journal.done(name);
        return forget(name);
      }
      if (errors.every((error) => error.retry) && tries + 1 < attempts) {
        const told = errors.map(({ data }) => (typeof data.retryAfterMs === 'number' ? data.retryAfterMs : 0));
        return rest(name, tries + 1, Math.max(...told, backOff(tries)));
      }
      const reasons = errors.map(({ code, message, data }) => ({ code, message, data }));
      await journal.bury(name, { tries: tries + 1, errors: reasons });
      forget(name);
    } catch {
      // The journal itself failed, a full disk perhaps. The event stays in it.
      rest(name, tries, backOff(tries));
    }
  }
  const forget = (name: string) => {
    known.delete(name);
  };
  const backOff = (tries: number) => Math.min(LONGEST_MS, baseMs * 2 ** tries) * (0.5 + Math.random() / 2);

  journal.onAppend(add);
  for (const name of await journal.pending()) add(name);
  return {
    async idle() {
      while (working.size + resting.size + queue.length > 0) await Promise.race([...working, ...resting, pause(50)]);
    },
    async stop() {
      stopping.abort();
      await Promise.all(working);
    },
  };
}
