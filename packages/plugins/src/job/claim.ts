import { ElfinError, isElfinError } from '@elfin/core';
import type { ObjectStore } from '@elfin/storage';
import { putSettled, readAll } from '../storage/storage.ts';

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
  /** Fires when another worker has taken it: whatever is still being made is made there, too. */
  readonly lost: AbortSignal;
  /** Gives it back: nothing is left to do. */
  release(): Promise<void>;
  /** Lets it expire at once: something is left to do, by whoever comes next. */
  abandon(): Promise<void>;
}

interface Marker {
  readonly owner: string;
  readonly expires: number;
  readonly result: string;
  /** Tells one claim from every other. */
  readonly id: string;
}

const encode = (marker: Marker) => new TextEncoder().encode(JSON.stringify(marker));

/** Where the claim on a result lies: by its digest, which is short, and no folder of another key. */
export const claimKey = (prefix: string, digest: string) => `${prefix}${digest}.json`;

/**
 * Claims a result by a conditional write: whoever writes the marker first works. A claim is renewed while it is held;
 * one that has expired is taken over by `If-Match`, so that of two heirs one wins.
 *
 * @param result The result's digest.
 * @throws CLAIM_HELD (retryable, `data.retryAfterMs`) while another worker holds it.
 */
export async function claim(store: ObjectStore, result: string, options: ClaimOptions): Promise<Claim> {
  const { prefix, ttlMs, owner, now } = options;
  const key = claimKey(prefix, result);
  const id = crypto.randomUUID();
  const fresh = (): Uint8Array => encode({ owner, expires: now() + ttlMs, result, id });
  const write = { type: 'application/json', metadata: {} } as const;

  const first = await putSettled(store, key, fresh(), { ...write, ifAbsent: true });
  if (first !== 'exists') return hold(first.etag, false);

  const found = await look();
  if (found === undefined) throw held(result, 100);
  if (found.id === id) return hold(found.etag, false);
  const left = found.expires - now();
  if (left > 0) throw held(result, left);
  const taken = await overwrite(fresh(), found.etag);
  if (taken === undefined) throw held(result, ttlMs);
  return hold(taken, true);

  async function look() {
    const there = await store.get(key);
    return there === undefined || there === 'changed' ? undefined : { etag: there.etag, ...(await readMarker(there)) };
  }

  /**
   * Its ETag afterwards; undefined where another worker's marker lies there. A marker of ours may have been written by the
   * very request that was then said to have failed, and was made again.
   */
  async function overwrite(bytes: Uint8Array, etag: string): Promise<string | undefined> {
    const written = await store.put(key, bytes, { ...write, ifMatch: etag });
    if (typeof written !== 'string') return written.etag;
    const there = await look();
    return there?.id === id ? there.etag : undefined;
  }

  function hold(initial: string, takenOver: boolean): Claim {
    let etag = initial;
    let renewing: Promise<void> = Promise.resolve();
    const lost = new AbortController();
    const rewrite = async (bytes: Uint8Array) => {
      const renewed = await overwrite(bytes, etag);
      if (renewed === undefined) lost.abort(new ElfinError('CLAIM_HELD', `Another worker has taken over "${result}".`));
      else etag = renewed;
    };
    const timer = setInterval(() => {
      // A renewal that fails is not the work's failure: the claim may run out, and the result is still written once.
      renewing = renewing.then(() => rewrite(fresh())).catch(() => undefined);
    }, ttlMs / 3);
    const settle = async () => {
      clearInterval(timer);
      await renewing;
    };
    return {
      takenOver,
      lost: lost.signal,
      async release() {
        await settle();
        if (await store.delete(key, { ifMatch: etag })) return;
        const there = await look();
        if (there?.id === id) await store.delete(key, { ifMatch: there.etag });
      },
      async abandon() {
        await settle();
        await rewrite(encode({ owner, expires: 0, result, id }));
      },
    };
  }
}

/** Whether a claim lies on a result: its maker has not finished, or died. */
export async function isClaimed(store: ObjectStore, prefix: string, result: string): Promise<boolean> {
  return (await store.head(claimKey(prefix, result))) !== undefined;
}

async function readMarker(found: Exclude<Awaited<ReturnType<ObjectStore['get']>>, 'changed' | undefined>) {
  try {
    const { id, expires } = JSON.parse(new TextDecoder().decode(await readAll(found, 65_536, 'A claim'))) as Marker;
    return { id, expires: Number.isFinite(expires) ? expires : 0 };
  } catch (error) {
    // Not a marker of ours: nobody can be holding it.
    if (error instanceof SyntaxError || isElfinError(error)) return { id: undefined, expires: 0 };
    throw error;
  }
}

const held = (result: string, retryAfterMs: number) =>
  new ElfinError('CLAIM_HELD', `"${result}" is being made by another worker; come back later.`, {
    data: { result, retryAfterMs },
  });
