import { ElfinError, type ElfinErrorCode, ERRORS } from '@elfin/core';
import type { ObjectStore } from '@elfin/storage';
import { toProblem } from '../http/errors.ts';
import { readAll } from '../store/bytes.ts';

/** `queued`: waits for a consumer. The last three are final. */
export type JobState = 'queued' | 'running' | 'done' | 'failed' | 'cancelled';

/** What is known of one piece of work: the record that jobs, single flight and leases share. */
export interface JobRecord {
  readonly id: string;
  readonly state: JobState;
  /** Tells holders apart. */
  readonly owner: string;
  /** 0…1. */
  readonly progress: number;
  readonly createdAt: number;
  /** Milliseconds since the epoch: until then a running record is its owner's, a final one is kept for whoever asks. */
  readonly expiresAt: number;
  /** As an answer would tell it: whoever asks for the job sees it. */
  readonly error?: { readonly code: ElfinErrorCode; readonly message: string };
}

/** Work that this process alone does now. */
export interface Claim {
  readonly id: string;
  /** Fires when the work was cancelled (JOB_CANCELLED) or another process has taken it over (ABORTED). */
  readonly signal: AbortSignal;
  progress(fraction: number): void;
  /** Ends the lease with a final state, or hands the work over as `queued`. */
  end(state: 'done' | 'failed' | 'cancelled' | 'queued', error?: ElfinError): Promise<void>;
}

export interface Jobs {
  /**
   * Takes the work, or tells who has it. A final or expired record is free to be taken; a queued one only by a consumer
   * (`queued: true`), or once it has expired. To a consumer what was cancelled stays so: only a new request begins it anew.
   */
  claim(id: string, options?: { readonly queued?: boolean }): Promise<Claim | JobRecord>;
  /** Undefined for work that never was, or whose record has expired. */
  get(id: string): Promise<JobRecord | undefined>;
  /** Marks work as cancelled; its holder stops at the next renewal. Undefined where there is none. */
  cancel(id: string): Promise<JobRecord | undefined>;
}

export interface JobsOptions {
  readonly store: ObjectStore;
  /** Milliseconds that a lease lives without renewal. Default 30 s; renewed at a third of it. */
  readonly lease?: number;
  /** Milliseconds that a final or queued record is kept. Default 10 min. */
  readonly keep?: number;
}

export const isFinal = (state: JobState): boolean => state === 'done' || state === 'failed' || state === 'cancelled';

/** Whether `claim` gave the work, and not the record of whoever has it. */
export const isClaim = (outcome: Claim | JobRecord): outcome is Claim => 'signal' in outcome;

/** The error that a failed or cancelled record tells. */
export function recordError(record: JobRecord): ElfinError {
  if (record.state === 'cancelled') return new ElfinError('JOB_CANCELLED', 'The work was cancelled.');
  const code = record.error && record.error.code in ERRORS ? record.error.code : 'INTERNAL';
  return new ElfinError(code, record.error?.message ?? 'The work failed.');
}

/**
 * Jobs and leases as one conditional record each, over any store with conditional writes: a folder, S3, R2, a Durable
 * Object, or memory for one process. Whoever dies leaves a record that expires and is taken over.
 * Errors: STORE_FAILED.
 */
export function createJobs(options: JobsOptions): Jobs {
  const { store, lease = 30_000, keep = 600_000 } = options;
  const owner = crypto.randomUUID();
  const held = new Map<string, AbortController>();
  const key = (id: string) => `job/${id}`;

  async function read(id: string): Promise<{ record: JobRecord; etag: string } | undefined> {
    const object = await store.get(key(id));
    if (object === undefined || object === 'changed') return undefined;
    const bytes = await readAll(object.body);
    try {
      return { record: JSON.parse(new TextDecoder().decode(bytes)) as JobRecord, etag: object.etag };
    } catch {
      // A record that cannot be read holds nobody back.
      return { record: { state: 'failed', expiresAt: 0 } as JobRecord, etag: object.etag };
    }
  }

  async function write(record: JobRecord, over: string | undefined): Promise<string | undefined> {
    const bytes = new TextEncoder().encode(JSON.stringify(record));
    const result = await store.put(key(record.id), bytes, {
      type: 'application/json',
      ...(over === undefined ? { ifAbsent: true } : { ifMatch: over }),
    });
    return typeof result === 'string' ? undefined : result.etag;
  }

  function hold(first: JobRecord, firstEtag: string): Claim {
    const controller = new AbortController();
    held.set(first.id, controller);
    let record = first;
    let etag: string | undefined = firstEtag;
    let fraction = 0;
    let turn: Promise<void> = Promise.resolve();
    const lost = (why: ElfinError) => {
      etag = undefined;
      controller.abort(why);
    };

    /** Writes the next state; one at a time, since each builds on the last one's ETag. */
    function advance(next: () => Partial<JobRecord>): Promise<void> {
      turn = turn.then(async () => {
        if (etag === undefined) return;
        const update = { ...record, ...next() };
        const written = await write(update, etag);
        if (written !== undefined) {
          record = update;
          etag = written;
          return;
        }
        const now = await read(record.id);
        lost(
          now?.record.state === 'cancelled'
            ? new ElfinError('JOB_CANCELLED', 'The work was cancelled.')
            : new ElfinError('ABORTED', 'The work was taken over by another process.'),
        );
      });
      return turn;
    }

    const renewal = setInterval(() => {
      // A store that fails for a moment is tried again; the lease's own length decides when it is lost.
      advance(() => ({ progress: fraction, expiresAt: Date.now() + lease })).catch(() => {
        turn = Promise.resolve();
        if (Date.now() > record.expiresAt) lost(new ElfinError('ABORTED', 'The lease could not be renewed.'));
      });
    }, lease / 3);
    (renewal as { unref?: () => void }).unref?.();

    return {
      id: first.id,
      signal: controller.signal,
      progress(value) {
        fraction = Math.max(fraction, Math.min(1, value));
      },
      async end(state, error) {
        clearInterval(renewal);
        if (held.get(first.id) === controller) held.delete(first.id);
        const told = error ? { error: { code: error.code, message: toProblem(error).detail } } : {};
        await advance(() => ({
          state,
          progress: state === 'done' ? 1 : fraction,
          expiresAt: Date.now() + keep,
          ...told,
        }));
      },
    };
  }

  return {
    async claim(id, { queued = false } = {}) {
      // Each round that loses its write has seen another process advance; a handful is already improbable.
      for (let attempt = 0; attempt < 8; attempt++) {
        const present = await read(id);
        const state = present && present.record.expiresAt > Date.now() ? present.record.state : undefined;
        const taken =
          state === undefined ? false : queued ? state === 'running' || state === 'cancelled' : !isFinal(state);
        if (present && taken) return present.record;
        const now = Date.now();
        const record: JobRecord = {
          id,
          state: 'running',
          owner,
          progress: 0,
          createdAt: now,
          expiresAt: now + lease,
        };
        const etag = await write(record, present?.etag);
        if (etag !== undefined) return hold(record, etag);
      }
      throw new ElfinError('STORE_FAILED', 'The job’s record changes faster than it can be read.');
    },

    async get(id) {
      const present = await read(id);
      return present && present.record.expiresAt > Date.now() ? present.record : undefined;
    },

    async cancel(id) {
      for (let attempt = 0; attempt < 8; attempt++) {
        const present = await read(id);
        if (!present || present.record.expiresAt <= Date.now()) return undefined;
        if (isFinal(present.record.state)) return present.record;
        const record: JobRecord = { ...present.record, state: 'cancelled', expiresAt: Date.now() + keep };
        if ((await write(record, present.etag)) !== undefined) {
          held.get(id)?.abort(new ElfinError('JOB_CANCELLED', 'The work was cancelled.'));
          return record;
        }
      }
      throw new ElfinError('STORE_FAILED', 'The job’s record changes faster than it can be read.');
    },
  };
}
