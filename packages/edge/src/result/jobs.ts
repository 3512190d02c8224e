import { ElfinError, type ElfinErrorCode, ERRORS } from '@elfin/core';
import { type AcquireOptions, createLeases, type Lease, type LeaseFields, type ObjectStore } from '@elfin/storage';
import { toProblem } from '../http/errors.ts';

/** `queued`: waits for a consumer. The last three are final. */
export type JobState = 'queued' | 'running' | 'done' | 'failed' | 'cancelled';

/**
 * What is known of one piece of work: the record that jobs, single flight and leases share. Until it expires a running one is
 * its holder's, a final one is kept for whoever asks.
 */
export interface JobRecord extends LeaseFields {
  readonly id: string;
  readonly state: JobState;
  /** 0…1. */
  readonly progress: number;
  readonly createdAt: number;
  /** As an answer would tell it: whoever asks for the job sees it. */
  readonly error?: { readonly code: ElfinErrorCode; readonly message: string } | undefined;
}

/** Work that this process alone does now. */
export interface Claim {
  readonly id: string;
  /** No record of this work was there: nobody has been at it since whoever claims it looked. */
  readonly isNew: boolean;
  /** The work was done by another while this claim was being made: its result may be there. */
  readonly justDone: boolean;
  /** Fires when the work was cancelled (JOB_CANCELLED) or another process has taken it over (ABORTED). */
  readonly signal: AbortSignal;
  progress(fraction: number): void;
  /** Ends the lease with a final state, or hands the work over as `queued`. */
  end(state: 'done' | 'failed' | 'cancelled' | 'queued', error?: ElfinError): Promise<void>;
}

export interface ClaimOptions {
  readonly queued?: boolean;
  /** Takes work that is done as well: its result has gone, or is too old. Default true. */
  readonly over?: boolean;
}

export interface Jobs {
  /**
   * Takes the work, or tells who has it or has done it. A failed, cancelled or expired record is free to be taken, a done one
   * `over` its result; a queued one only by a consumer (`queued: true`), or once it has expired. To a consumer what was cancelled stays so: only a new request begins it anew.
   */
  claim(id: string, options?: ClaimOptions): Promise<Claim | JobRecord>;
  /** Undefined for work that never was, or whose record has expired. */
  get(id: string): Promise<JobRecord | undefined>;
  /** Marks work as cancelled; its holder stops at the next renewal. Undefined where there is none. */
  cancel(id: string): Promise<JobRecord | undefined>;
}

export interface JobsOptions {
  readonly store: ObjectStore;
  /** Milliseconds that a lease lives without renewal. Default 30 s; renewed at a third of it. */
  readonly lease?: number | undefined;
  /** Milliseconds that a final or queued record is kept. Default 10 min. */
  readonly keep?: number | undefined;
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

/** What a job's record has beside the fields of its lease. */
type JobFields = Omit<JobRecord, keyof LeaseFields>;

/**
 * Jobs and leases as one conditional record each, over any store with conditional writes: a folder, S3, R2, a Durable
 * Object, or memory for one process. Whoever dies leaves a record that expires and is taken over.
 * Errors: STORE_FAILED.
 */
export function createJobs(options: JobsOptions): Jobs {
  const { store, lease: ttlMs = 30_000, keep = 600_000 } = options;
  const leases = createLeases<JobFields>({ store, ttlMs });
  const held = new Map<string, AbortController>();
  const key = (id: string) => `job/${id}`;

  function hold(id: string, lease: Lease<JobFields>, progress: Progress, begun: number): Claim {
    const { previous } = lease;
    const cancelled = new AbortController();
    held.set(id, cancelled);
    return {
      id,
      isNew: previous === undefined && !lease.takenOver,
      justDone: previous?.state === 'done' && previous.expiresAt - keep >= begun,
      signal: AbortSignal.any([lease.lost, cancelled.signal]),
      progress: (value) => progress.advance(value),
      async end(state, error) {
        if (held.get(id) === cancelled) held.delete(id);
        const told = error && { code: error.code, message: toProblem(error).detail };
        await lease.end({ state, progress: state === 'done' ? 1 : progress.fraction, error: told }, keep);
      },
    };
  }

  return {
    async claim(id, { queued = false, over = true } = {}) {
      const begun = Date.now();
      const progress = createProgress();
      const asked: AcquireOptions<JobFields> = {
        record: { id, state: 'running', progress: 0, createdAt: begun },
        free: ({ state }) =>
          queued ? state !== 'running' && state !== 'cancelled' : isFinal(state) && (over || state !== 'done'),
        renewal: () => ({ progress: progress.fraction }),
        lostBecause,
      };
      const acquired = await leases.acquire(key(id), asked);
      return acquired.kind === 'held' ? hold(id, acquired.lease, progress, begun) : acquired.record;
    },

    async get(id) {
      const record = await leases.read(key(id));
      return record && record.expiresAt > Date.now() ? record : undefined;
    },

    async cancel(id) {
      const record = await leases.override(key(id), ({ state, expiresAt }) =>
        isFinal(state) || expiresAt <= Date.now() ? undefined : { change: { state: 'cancelled' }, keepMs: keep },
      );
      if (record === undefined || record.expiresAt <= Date.now()) return undefined;
      if (record.state === 'cancelled') held.get(id)?.abort(new ElfinError('JOB_CANCELLED', 'The work was cancelled.'));
      return record;
    },
  };
}

interface Progress {
  readonly fraction: number;
  advance(value: number): void;
}

/** 0…1, which never goes back. */
function createProgress(): Progress {
  let fraction = 0;
  return {
    get fraction() {
      return fraction;
    },
    advance(value) {
      fraction = Math.max(fraction, Math.min(1, value));
    },
  };
}

function lostBecause(there: JobRecord | undefined): ElfinError {
  if (there?.state === 'cancelled') return new ElfinError('JOB_CANCELLED', 'The work was cancelled.');
  if (there) return new ElfinError('ABORTED', 'The work was taken over by another process.');
  return new ElfinError('ABORTED', 'The lease could not be renewed.');
}
