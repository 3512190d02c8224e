import { ElfinError } from '@elfin/core';
import { createLeases, type Lease, type LeaseFields, type ObjectStore } from '@elfin/storage';

export interface ClaimOptions {
  /** Where markers lie. */
  readonly prefix: string;
  /** How long a claim holds without being renewed. */
  readonly ttlMs: number;
  /** Names this worker, for people who look into a marker. */
  readonly owner: string;
  readonly now: () => number;
}

/** The right to make one result, held by one worker at a time. */
export interface Claim {
  /** Whether it was taken from a worker that let it expire. */
  readonly takenOver: boolean;
  /** Fires when another worker has taken it, or could: whatever is still being made is made there, too. */
  readonly lost: AbortSignal;
  /** Gives it back: nothing is left to do. */
  release(): Promise<void>;
  /** Lets it expire at once: something is left to do, by whoever comes next. */
  abandon(): Promise<void>;
}

interface Marker {
  readonly owner: string;
  readonly result: string;
}

/** Where the claim on a result lies: by its digest, which is short, and no folder of another key. */
export const claimKey = (prefix: string, digest: string) => `${prefix}${digest}.json`;

/**
 * Claims a result by a conditional write: whoever writes the marker first works. A claim is renewed while it is held and its
 * work moves; one that has expired is taken over, so that of two heirs one wins.
 *
 * @param result The result's digest.
 * @param moving Asked at each renewal; where it answers false the claim is given up.
 * @throws CLAIM_HELD (retryable, `data.retryAfterMs`) while another worker holds it.
 */
export async function claim(
  store: ObjectStore,
  result: string,
  { prefix, ttlMs, owner, now }: ClaimOptions,
  moving?: () => boolean,
): Promise<Claim> {
  const leases = createLeases<Marker>({ store, ttlMs, now });
  const acquired = await leases.acquire(claimKey(prefix, result), {
    record: { owner, result },
    moving,
    lostBecause: (there) => lost(result, there !== undefined),
  });
  if (acquired.kind === 'taken') throw held(result, acquired.record, now());
  return claimOf(acquired.lease);
}

const claimOf = (lease: Lease<Marker>): Claim => ({
  takenOver: lease.takenOver,
  lost: lease.lost,
  release: () => lease.release(),
  abandon: () => lease.end({}, 0),
});

/** Whether a claim lies on a result: its maker has not finished, or died. */
export async function isClaimed(store: ObjectStore, prefix: string, result: string): Promise<boolean> {
  return (await store.head(claimKey(prefix, result))) !== undefined;
}

const held = (result: string, { expiresAt }: LeaseFields, now: number) =>
  new ElfinError('CLAIM_HELD', `"${result}" is being made by another worker; come back later.`, {
    data: { result, retryAfterMs: Math.max(100, expiresAt - now) },
  });

const lost = (result: string, taken: boolean) => {
  const why = taken ? 'another worker has taken it over' : 'its claim was not renewed in time, or its work stood still';
  return new ElfinError('CLAIM_HELD', `"${result}" is left: ${why}; it is to be delivered again.`, {
    data: { result },
  });
};
