import { ElfinError } from '@elfin/core';

/** What one piece of work is told of its turn. */
export interface Turn {
  /** Milliseconds that it waited. */
  readonly waited: number;
}

export interface RunOptions {
  readonly signal?: AbortSignal | undefined;
  /** How large it is, in any unit that time grows with: pixels. Small work goes first. Default 1. */
  readonly cost?: number;
}

export interface Limiter {
  /**
   * Runs `work` when its turn comes. Errors: OVERLOADED when the queue is full, the reason of `signal` where it fires before
   * that, at once, and what `work` throws.
   */
  run<T>(work: (turn: Turn) => Promise<T>, options?: RunOptions): Promise<T>;
  /** Whether `run` would have a place now, asked before anything is spent on it. Errors: OVERLOADED. */
  check(): void;
  /**
   * Seconds until what waits or runs here at this cost and below will be done, by what earlier work took; undefined before
   * anything was measured.
   */
  eta(cost: number): number | undefined;
  /** Work waiting for its turn. */
  readonly queued: number;
  readonly running: number;
}

export interface LimiterOptions {
  readonly concurrency: number;
  /** Most work that waits; more is OVERLOADED. */
  readonly queue: number;
  /** How many smaller ones may go before one that waits. Default 16. */
  readonly maxOvertaken?: number;
  /** Milliseconds, for tests. */
  readonly now?: () => number;
}

interface Waiting {
  readonly cost: number;
  readonly enter: () => void;
  overtaken: number;
}

/** Weight of the latest measurement in the running mean. */
const WEIGHT = 0.2;
/** Seconds that a client is told to wait where nothing was measured, and at most. */
const FIRST_GUESS = 2;
const MAX_WAIT = 120;

/**
 * At most `concurrency` at a time and `queue` waiting, small work first: behind two large restorations a thumbnail would
 * otherwise wait for both. What is overtaken `maxOvertaken` times goes next, so that nothing waits for ever. What waits longer
 * than a queue can hold is refused at once, with how long the queue will take by the measured rate.
 */
export function createLimiter(options: LimiterOptions): Limiter {
  const { concurrency, queue, maxOvertaken = 16, now = () => performance.now() } = options;
  const waiting: Waiting[] = [];
  const under = new Map<object, { readonly cost: number; readonly since: number }>();
  let running = 0;
  /** Seconds for one unit of cost. */
  let rate: number | undefined;

  /** Cost up to and with all work of at most `largest`, what is under way reckoned by what is left of it. */
  function ahead(largest = Number.POSITIVE_INFINITY): number {
    const queued = waiting.reduce((sum, { cost }) => sum + (cost <= largest ? cost : 0), 0);
    const left = [...under.values()].reduce((sum, { cost, since }) => {
      const done = rate === undefined ? 0 : (now() - since) / 1000 / rate;
      return sum + Math.max(0, cost - done);
    }, 0);
    return (queued + left) / concurrency;
  }

  function check(): void {
    if (running < concurrency || waiting.length < queue) return;
    const drained = rate === undefined ? FIRST_GUESS : Math.min(MAX_WAIT, Math.max(1, ahead() * rate));
    throw new ElfinError('OVERLOADED', 'The server has more to do than it takes on; try again soon.', {
      data: { retryAfter: Math.ceil(drained) },
    });
  }

  /** The next to go: the oldest that was overtaken often enough, else the smallest, and of equal ones the oldest. */
  function takeNext(): Waiting | undefined {
    const patient = waiting.findIndex(({ overtaken }) => overtaken >= maxOvertaken);
    let at = Math.max(0, patient);
    if (patient < 0) {
      for (let i = 1; i < waiting.length; i++) {
        if ((waiting[i] as Waiting).cost < (waiting[at] as Waiting).cost) at = i;
      }
    }
    for (let i = 0; i < at; i++) (waiting[i] as Waiting).overtaken += 1;
    return waiting.splice(at, 1)[0];
  }

  /** Resolves with a place that is already taken: whoever leaves hands its own on, so that nobody gets in between. */
  function place(cost: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const entry: Waiting = {
        cost,
        overtaken: 0,
        enter: () => {
          signal?.removeEventListener('abort', leave);
          resolve();
        },
      };
      const leave = () => {
        waiting.splice(waiting.indexOf(entry), 1);
        reject(signal?.reason);
      };
      waiting.push(entry);
      signal?.addEventListener('abort', leave, { once: true });
    });
  }

  function measure(cost: number, since: number): void {
    const seconds = (now() - since) / 1000 / cost;
    rate = rate === undefined ? seconds : rate + (seconds - rate) * WEIGHT;
  }

  return {
    async run(work, { signal, cost = 1 } = {}) {
      if (signal?.aborted) throw signal.reason;
      check();
      const asked = now();
      if (running < concurrency) running += 1;
      else await place(cost, signal);
      const begun = now();
      const key = {};
      under.set(key, { cost, since: begun });
      try {
        const result = await work({ waited: begun - asked });
        measure(cost, begun);
        return result;
      } finally {
        under.delete(key);
        const next = takeNext();
        if (next) next.enter();
        else running -= 1;
      }
    },
    check,
    eta: (cost) => (rate === undefined ? undefined : ahead(cost) * rate),
    get queued() {
      return waiting.length;
    },
    get running() {
      return running;
    },
  };
}

/** Counts what is held of something that work brings along, and lets new work wait while there is too much of it. */
export interface Budget {
  /** Resolves once less than the limit is held. Errors: the reason of `signal`. */
  room(signal?: AbortSignal): Promise<void>;
  /** Counts `amount` as held until the returned function is called, once. */
  hold(amount: number): () => void;
  readonly held: number;
}

/** At most `limit`, and one piece more: what is under way is never stopped by its own size. */
export function createBudget(limit: number): Budget {
  const waiting = new Set<() => void>();
  let held = 0;
  return {
    async room(signal) {
      if (signal?.aborted) throw signal.reason;
      while (held >= limit) {
        await new Promise<void>((resolve, reject) => {
          const wake = () => {
            signal?.removeEventListener('abort', leave);
            waiting.delete(wake);
            resolve();
          };
          const leave = () => {
            waiting.delete(wake);
            reject(signal?.reason);
          };
          waiting.add(wake);
          signal?.addEventListener('abort', leave, { once: true });
        });
      }
    },
    hold(amount) {
      held += amount;
      let open = true;
      return () => {
        if (!open) return;
        open = false;
        held -= amount;
        // One after another: each that wakes looks again, and may take up all the room there is.
        const [next] = waiting;
        next?.();
      };
    },
    get held() {
      return held;
    },
  };
}
