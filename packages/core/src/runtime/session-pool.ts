import { interruptible, throwIfLate } from '../base/deadline.ts';
import { aborted, ElfinError, throwIfAborted } from '../base/errors.ts';
import type { ModelRef } from '../model/models.ts';
import type { Runtime, Session, SessionOptions } from './runtime.ts';
import { sessionKey } from './session-key.ts';

/** Sessions shared by all who want the same graph, and kept for the next ones. */
export interface SessionPool {
  /** A session whose `dispose` releases it. Errors: those of the runtime, ABORTED, DEADLINE_EXCEEDED. */
  acquire(model: ModelRef, options: SessionOptions, wanted?: AcquireOptions): Promise<Session>;
  /** Whether it is at hand, or being opened. */
  has(model: ModelRef, options: SessionOptions): boolean;
  /** Closes all of them, used ones too. */
  dispose(): Promise<void>;
}

/** How a session is wanted. Several may wait for one opening: it ends early only when all of them have left. */
export interface AcquireOptions {
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds since the epoch. */
  readonly deadline?: number | undefined;
  /** Whether it is worth keeping, as by default; if not, it is closed when released, unless others use it. */
  readonly keep?: boolean | undefined;
}

/** What a pool is made of. */
export interface SessionPoolOptions {
  /** Most sessions kept that nobody uses; the one unused for longest is closed first. */
  readonly keep: number;
  /** Called when the last session is closed and none is being opened. */
  readonly onEmpty?: (() => Promise<void>) | undefined;
}

interface Entry {
  readonly session: Promise<Session>;
  /** Ends the opening, once nobody waits for it any more. */
  readonly opening: AbortController;
  opened: boolean;
  users: number;
}

/** A pool over a runtime. Counts users, so that a session is closed neither under somebody nor twice. */
export function createSessionPool(runtime: Pick<Runtime, 'open'>, { keep, onEmpty }: SessionPoolOptions): SessionPool {
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

  async function close({ session }: Entry): Promise<void> {
    const closed = session.then(
      (opened) => opened.dispose(),
      () => undefined,
    );
    closing.add(closed);
    try {
      await closed;
    } finally {
      closing.delete(closed);
      if (entries.size === 0 && closing.size === 0) await onEmpty?.();
    }
  }

  async function release(key: string, entry: Entry, keepIt: boolean): Promise<void> {
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
    async acquire(model, options, { signal, deadline, keep: keepIt = true } = {}) {
      throwIfAborted(signal);
      throwIfLate(deadline);
      const key = sessionKey(model, options);
      const entry = entries.get(key) ?? begin(key, model, options);
      entries.set(key, entry);
      entry.users++;
      try {
        const session = await interruptible(entry.session, { signals: [[signal, aborted]], deadline });
        throwIfAborted(signal);
        return share(session, () => release(key, entry, keepIt));
      } catch (error) {
        await release(key, entry, true);
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

/** One user's view of a shared session: disposed by itself, while others go on. */
function share(session: Session, release: () => Promise<void>): Session {
  let open = true;
  const view: Session = {
    backend: session.backend,
    async run(feeds, options) {
      if (!open) throw new ElfinError('DISPOSED', 'The session is closed; open the model again.');
      return session.run(feeds, options);
    },
    async dispose() {
      if (!open) return;
      open = false;
      await release();
    },
    [Symbol.asyncDispose]: () => view.dispose(),
  };
  return view;
}
