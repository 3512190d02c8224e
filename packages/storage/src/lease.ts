import { ElfinError, isElfinError } from '@elfin/core';
import { readAll } from './bytes.ts';
import type { ObjectStore, PutOptions } from './object-store.ts';
import { putSettled } from './put-settled.ts';

/** What every record of a lease has beside its user's own fields. */
export interface LeaseFields {
  /** Tells one holding from every other, also of the same process. */
  readonly holder: string;
  /** Milliseconds since the epoch: until then the record counts. */
  readonly expiresAt: number;
}

export interface LeaseOptions {
  readonly store: ObjectStore;
  /** Milliseconds that a record counts without being renewed; it is renewed at a third of it. */
  readonly ttlMs: number;
  readonly now?: (() => number) | undefined;
}

export interface AcquireOptions<R> {
  readonly record: R;
  /** Whether a record that lies there and has not expired may be taken all the same. Default: none may. */
  readonly free?: ((there: R & LeaseFields) => boolean) | undefined;
  /** Asked at each renewal; where it answers false the lease is given up: its work does not move. */
  readonly moving?: (() => boolean) | undefined;
  /** What a renewal changes in the record, beside its expiry. */
  readonly renewal?: (() => Partial<R>) | undefined;
  /** The error that `lost` fires with, by what lies there instead; undefined where nothing does, or nothing is known. */
  readonly lostBecause?: ((there: (R & LeaseFields) | undefined) => ElfinError) | undefined;
}

export type Acquired<R> =
  | { readonly kind: 'held'; readonly lease: Lease<R> }
  | { readonly kind: 'taken'; readonly record: R & LeaseFields };

/** The right to some work, held by one at a time. */
export interface Lease<R> {
  /** Whether it was taken from one who let it expire. */
  readonly takenOver: boolean;
  /** The record that lay there before and was free to be taken. */
  readonly previous: (R & LeaseFields) | undefined;
  /** Fires when another has it now, when it could not be renewed in time, and when its work stands still. */
  readonly lost: AbortSignal;
  /** Ends the renewal and writes a last record, which counts for `keepMs`. Does nothing where the lease is lost. */
  end(change: Partial<R>, keepMs: number): Promise<void>;
  /** Ends the renewal and deletes the record. */
  release(): Promise<void>;
}

export interface Leases<R> {
  /** Takes the lease by one conditional write, or tells who has it. Errors: STORE_FAILED and what the store throws. */
  acquire(key: string, options: AcquireOptions<R>): Promise<Acquired<R>>;
  /** The record that lies there, expired or not; undefined where none does, or what does is none. */
  read(key: string): Promise<(R & LeaseFields) | undefined>;
  /**
   * Changes a record over its holder's head, who then loses the lease. `change` answers undefined where nothing is to be
   * changed. Resolves to the record that lies there in the end.
   */
  override(
    key: string,
    change: (there: R & LeaseFields) => { readonly change: Partial<R>; readonly keepMs: number } | undefined,
  ): Promise<(R & LeaseFields) | undefined>;
}

/** Each round that loses its write has seen another one advance; a handful is already improbable. */
const MAX_ROUNDS = 8;
const MAX_RECORD_BYTES = 65_536;

/**
 * Leases by conditional writes, over any store that has them: whoever writes the record first holds it, renews it while the
 * work goes on, and is succeeded by `If-Match` once it has expired, so that of many heirs one wins. An answer that was lost
 * on its way costs nothing: what lies there tells whose it is.
 *
 * @example
 * const leases = createLeases<{ owner: string }>({ store, ttlMs: 30_000 });
 * const outcome = await leases.acquire('lease/a', { record: { owner: 'me' } });
 * if (outcome.kind === 'held') await outcome.lease.release();
 */
export function createLeases<R extends object>(options: LeaseOptions): Leases<R> {
  type Full = R & LeaseFields;
  const { store, ttlMs, now = Date.now } = options;
  const encode = (record: Full) => new TextEncoder().encode(JSON.stringify(record));

  async function look(key: string): Promise<{ readonly etag: string; readonly record: Full | undefined } | undefined> {
    const there = await store.get(key);
    if (there === undefined || there === 'changed') return undefined;
    return { etag: there.etag, record: recordOf<Full>(await bytesOf(there.body)) };
  }

  /**
   * Writes a record: over `etag`, or where nothing is. A write that is refused or fails may be one that was made and whose
   * answer got lost, so what lies there decides. Answers with its ETag, or with what lies there instead.
   */
  async function write(key: string, record: Full, etag: string | undefined): Promise<Written<Full>> {
    const condition: PutOptions = { type: 'application/json', metadata: {} };
    let over = etag;
    for (let round = 0; round < MAX_ROUNDS; round++) {
      let failure: unknown;
      const written = await (over === undefined
        ? putSettled(store, key, encode(record), { ...condition, ifAbsent: true })
        : store.put(key, encode(record), { ...condition, ifMatch: over })
      ).catch((error: unknown) => {
        failure = error;
      });
      if (typeof written === 'object') return { kind: 'written', etag: written.etag };
      const there = await look(key).catch((error: unknown) => {
        throw failure ?? error;
      });
      const mine = there?.record?.holder === record.holder;
      if (failure !== undefined && (!mine || there.etag === over)) throw failure;
      if (!mine) return { kind: 'refused', there: there?.record, etag: there?.etag };
      if (JSON.stringify(there.record) === JSON.stringify(record)) return { kind: 'written', etag: there.etag };
      // Turned away for coming too soon (R2), or an earlier write of ours of which nothing was heard.
      if (there.etag === over) await new Promise((resolve) => setTimeout(resolve, Math.min(1100, 50 * 2 ** round)));
      over = there.etag;
    }
    throw changing(key);
  }

  function hold(key: string, first: Full, initial: string, before: Before<Full>, asked: AcquireOptions<R>): Lease<R> {
    const control = new AbortController();
    let record = first;
    let etag = initial;
    let turn: Promise<unknown> = Promise.resolve();

    function lose(there?: Full): void {
      clearInterval(timer);
      if (control.signal.aborted) return;
      control.abort(asked.lostBecause?.(there) ?? (there ? taken(key) : lapsed(key)));
    }
    /** One write at a time, since each builds on the last one's ETag. */
    function advance(change: () => Partial<R>, keepMs: number): Promise<void> {
      const next = turn.then(async () => {
        if (control.signal.aborted) return;
        const update = { ...record, ...change(), expiresAt: now() + keepMs };
        const written = await write(key, update, etag);
        if (written.kind === 'refused') {
          lose(written.there);
          return;
        }
        record = update;
        etag = written.etag;
      });
      turn = next.catch(() => undefined);
      return next;
    }
    function renew(): void {
      if (asked.moving?.() === false) {
        lose();
        return;
      }
      advance(() => asked.renewal?.() ?? {}, ttlMs).catch(() => {
        // A store that fails for a moment is asked again; once the record has expired another may have it.
        if (now() > record.expiresAt) lose();
      });
    }
    const timer = setInterval(renew, ttlMs / 3);
    (timer as { unref?: () => void }).unref?.();
    const settle = async () => {
      clearInterval(timer);
      await turn;
    };

    return {
      ...before,
      lost: control.signal,
      async end(change, keepMs) {
        await settle();
        await advance(() => change, keepMs);
      },
      async release() {
        await settle();
        if (await store.delete(key, { ifMatch: etag })) return;
        const there = await look(key);
        if (there?.record?.holder === record.holder) await store.delete(key, { ifMatch: there.etag });
      },
    };
  }

  return {
    read: async (key) => (await look(key))?.record,

    async acquire(key, asked) {
      const record = (): Full => ({ ...asked.record, holder: crypto.randomUUID(), expiresAt: now() + ttlMs });
      let mine = record();
      // Nothing is read where nothing lies: that is the usual case.
      let written = await write(key, mine, undefined);
      let before: Before<Full> = { takenOver: false, previous: undefined };
      for (let round = 0; round < MAX_ROUNDS; round++) {
        if (written.kind === 'written') {
          return { kind: 'held', lease: hold(key, mine, written.etag, before, asked) };
        }
        const { there, etag } = written;
        const counts = there !== undefined && there.expiresAt > now();
        if (counts && !asked.free?.(there)) return { kind: 'taken', record: there };
        // What was released in between left nothing; what cannot be read is nobody's.
        before = { takenOver: etag !== undefined && !counts, previous: there };
        mine = record();
        written = await write(key, mine, etag);
      }
      throw changing(key);
    },

    async override(key, change) {
      for (let round = 0; round < MAX_ROUNDS; round++) {
        const there = await look(key);
        if (there?.record === undefined) return undefined;
        const wanted = change(there.record);
        if (wanted === undefined) return there.record;
        const holder = crypto.randomUUID();
        const update = { ...there.record, ...wanted.change, holder, expiresAt: now() + wanted.keepMs };
        if ((await write(key, update, there.etag)).kind === 'written') return update;
      }
      throw changing(key);
    },
  };
}

type Before<Full> = { readonly takenOver: boolean; readonly previous: Full | undefined };

type Written<Full> =
  | { readonly kind: 'written'; readonly etag: string }
  | { readonly kind: 'refused'; readonly there: Full | undefined; readonly etag: string | undefined };

async function bytesOf(body: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  try {
    return await readAll(body, { limit: MAX_RECORD_BYTES });
  } catch (error) {
    // No record is so long: it is not one of ours.
    if (isElfinError(error) && error.code === 'IMAGE_TOO_MANY_BYTES') return new Uint8Array();
    throw error;
  }
}

/** Undefined for what is no record: nobody can be holding it. */
function recordOf<Full extends LeaseFields>(bytes: Uint8Array): Full | undefined {
  try {
    const record = JSON.parse(new TextDecoder().decode(bytes)) as Full | null;
    const whole = typeof record?.holder === 'string' && Number.isFinite(record.expiresAt);
    return whole ? record : undefined;
  } catch {
    return undefined;
  }
}

const taken = (key: string) => new ElfinError('CLAIM_HELD', `Another worker has taken over "${key}".`);
const lapsed = (key: string) =>
  new ElfinError('CLAIM_HELD', `The lease on "${key}" was not renewed in time, or its work stood still.`);
const changing = (key: string) =>
  new ElfinError('STORE_FAILED', `The record "${key}" changes faster than it can be read; try again.`);
