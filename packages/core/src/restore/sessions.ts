import { throwIfAborted } from '../errors.ts';
import type { ModelRef } from '../model/models.ts';
import type { Runtime, Session, SessionOptions } from '../runtime/runtime.ts';
import { sessionKey } from '../runtime/session-key.ts';

/** Sessions that outlive an image, so that the next one need not open them again. */
export interface SessionPool {
  /**
   * A session whose `dispose` gives it back; one that is not worth keeping (`keep` false) is then closed, unless others use it.
   * Errors: those of the runtime, ABORTED.
   */
  open(model: ModelRef, options: SessionOptions, signal?: AbortSignal, keep?: boolean): Promise<Session>;
  /** Whether it is at hand, or being opened. */
  has(model: ModelRef, options: SessionOptions): boolean;
  dispose(): Promise<void>;
}

interface Entry {
  readonly session: Promise<Session>;
  users: number;
}

/** Keeps at most `keep` sessions that nobody uses; the one unused for longest is closed first. */
export function createSessionPool(runtime: Runtime, keep: number): SessionPool {
  // In the order of their last use.
  const entries = new Map<string, Entry>();
  const close = async ({ session }: Entry) => {
    await session.then(
      (opened) => opened.dispose(),
      () => undefined,
    );
  };

  async function giveBack(key: string, entry: Entry, keepIt: boolean): Promise<void> {
    entry.users--;
    if (entries.get(key) !== entry) return;
    entries.delete(key);
    if (!keepIt && entry.users === 0) return close(entry);
    entries.set(key, entry);
    const idle = [...entries].filter(([, { users }]) => users === 0);
    for (const [oldest, surplus] of idle.slice(0, Math.max(0, idle.length - keep))) {
      entries.delete(oldest);
      await close(surplus);
    }
  }

  return {
    async open(model, options, signal, keepIt = true) {
      throwIfAborted(signal);
      const key = sessionKey(model, options);
      const entry = entries.get(key) ?? { session: runtime.open(model, options), users: 0 };
      entries.set(key, entry);
      entry.users++;
      try {
        const session = await entry.session;
        throwIfAborted(signal);
        return lend(session, () => giveBack(key, entry, keepIt));
      } catch (error) {
        // A model that could not be opened is tried anew the next time.
        await entry.session.catch(() => entries.delete(key));
        await giveBack(key, entry, true);
        throw error;
      }
    },
    has: (model, options) => entries.has(sessionKey(model, options)),
    async dispose() {
      const all = [...entries.values()];
      entries.clear();
      await Promise.all(all.map(close));
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
