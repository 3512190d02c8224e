import { interruptible, throwIfLate } from '../base/deadline.ts';
import { aborted, throwIfAborted } from '../base/errors.ts';
import type { ModelRef } from '../model/models.ts';
import type { Runtime, Session, SessionOptions } from '../runtime/runtime.ts';
import { sessionKey } from '../runtime/session-key.ts';

/** Sessions that outlive an image, so that the next one need not open them again. */
export interface SessionPool {
  /** A session whose `dispose` gives it back. Errors: those of the runtime, ABORTED, DEADLINE_EXCEEDED. */
  open(model: ModelRef, options: SessionOptions, wanted?: SessionWish): Promise<Session>;
  /** Whether it is at hand, or being opened. */
  has(model: ModelRef, options: SessionOptions): boolean;
  dispose(): Promise<void>;
}

/** How a session is wanted. Several may wait for one opening: it ends early only when all of them have left. */
export interface SessionWish {
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds since the epoch. */
  readonly deadline?: number | undefined;
  /** Whether it is worth keeping, as by default; if not, it is closed when given back, unless others use it. */
  readonly keep?: boolean | undefined;
}

interface Entry {
  readonly session: Promise<Session>;
  /** Ends the opening, once nobody waits for it any more. */
  readonly opening: AbortController;
  opened: boolean;
  users: number;
}

/** Keeps at most `keep` sessions that nobody uses; the one unused for longest is closed first. */
export function createSessionPool(runtime: Runtime, keep: number): SessionPool {
  // In the order of their last use.
  const entries = new Map<string, Entry>();
  const closing = new Set<Promise<void>>();

  function begin(key: string, model: ModelRef, options: SessionOptions): Entry {
    const opening = new AbortController();
    const session = runtime.open(model, options, { signal: opening.signal });
    const entry: Entry = { session, opening, opened: false, users: 0 };
    session.then(
      () => {
        entry.opened = true;
      },
      // A model that could not be opened is tried anew the next time.
      () => {
        if (entries.get(key) === entry) entries.delete(key);
      },
    );
    return entry;
  }

  function close({ session }: Entry): Promise<void> {
    const closed = session.then(
      (opened) => opened.dispose(),
      () => undefined,
    );
    const done = () => closing.delete(closed);
    closing.add(closed);
    closed.then(done, done);
    return closed;
  }

  async function giveBack(key: string, entry: Entry, keepIt: boolean): Promise<void> {
    entry.users--;
    if (entries.get(key) !== entry) return;
    entries.delete(key);
    if (entry.users === 0 && !entry.opened) {
      // Not waited for: a runtime may go on opening for a while.
      entry.opening.abort();
      void close(entry).catch(() => {});
      return;
    }
    if (!keepIt && entry.users === 0) return close(entry);
    entries.set(key, entry);
    const idle = [...entries].filter(([, { users }]) => users === 0);
    for (const [oldest, surplus] of idle.slice(0, Math.max(0, idle.length - keep))) {
      entries.delete(oldest);
      await close(surplus);
    }
  }

  return {
    async open(model, options, { signal, deadline, keep: keepIt = true } = {}) {
      throwIfAborted(signal);
      throwIfLate(deadline);
      const key = sessionKey(model, options);
      const entry = entries.get(key) ?? begin(key, model, options);
      entries.set(key, entry);
      entry.users++;
      try {
        const session = await interruptible(entry.session, { signals: [[signal, aborted]], deadline });
        throwIfAborted(signal);
        return lend(session, () => giveBack(key, entry, keepIt));
      } catch (error) {
        await giveBack(key, entry, true);
        throw error;
      }
    },
    has: (model, options) => entries.has(sessionKey(model, options)),
    async dispose() {
      const all = [...entries.values()];
      entries.clear();
      for (const { opening, opened } of all) if (!opened) opening.abort();
      await Promise.all([...all.map(close), ...closing]);
    },
  };
}

function lend(session: Session, back: () => Promise<void>): Session {
  let lent = true;
  const dispose = async () => {
    if (!lent) return;
    lent = false;
    await back();
  };
  return {
    backend: session.backend,
    run: (feeds, options) => session.run(feeds, options),
    dispose,
    [Symbol.asyncDispose]: dispose,
  };
}
