import { ElfinError } from '@elfin/core';
import { createMemoryStore } from '@elfin/storage';
import { describe, expect, it } from 'vitest';
import { claim, claimKey, isClaimed } from '../index.ts';

const options = (owner: string, now: () => number = Date.now, ttlMs = 60_000) => ({ prefix: 'c/', ttlMs, owner, now });

describe('claim', () => {
  it('is held by one, given back, and free again', async () => {
    const store = createMemoryStore();
    const mine = await claim(store, 'r', options('a'));
    const refused = claim(store, 'r', options('b'));
    await expect(refused).rejects.toMatchObject({ code: 'CLAIM_HELD', retry: true });
    await expect(refused).rejects.toSatisfy(({ data }) => data.retryAfterMs > 50_000);
    expect(await isClaimed(store, 'c/', 'r')).toBe(true);
    await mine.release();
    expect(await isClaimed(store, 'c/', 'r')).toBe(false);
    const theirs = await claim(store, 'r', options('b'));
    expect(theirs.takenOver).toBe(false);
    await theirs.release();
  });

  it('goes to exactly one of many at once', async () => {
    const store = createMemoryStore();
    const all = await Promise.allSettled(Array.from({ length: 20 }, (_, i) => claim(store, 'r', options(`w${i}`))));
    const winners = all.filter((one) => one.status === 'fulfilled');
    expect(winners).toHaveLength(1);
    await winners[0]!.value.release();
  });

  it('is taken over by exactly one heir once it has expired, and its old holder learns of it', async () => {
    const store = createMemoryStore();
    let time = 0;
    const dead = await claim(
      store,
      'r',
      options('dead', () => time, 600),
    );
    time = 601;
    const heirs = await Promise.allSettled(
      Array.from({ length: 10 }, (_, i) =>
        claim(
          store,
          'r',
          options(`h${i}`, () => time),
        ),
      ),
    );
    const [heir, ...others] = heirs.filter((one) => one.status === 'fulfilled').map(({ value }) => value);
    expect(others).toEqual([]);
    expect(heir!.takenOver).toBe(true);
    // The dead one's next renewal finds a marker that is not its own.
    await expect.poll(() => dead.lost.aborted).toBe(true);
    await dead.release();
    expect(await isClaimed(store, 'c/', 'r')).toBe(true);
    await heir!.release();
  });

  it('stays held for as long as its holder lives', async () => {
    const store = createMemoryStore();
    const held = await claim(store, 'r', options('a', Date.now, 60));
    await new Promise((resolve) => setTimeout(resolve, 200));
    await expect(claim(store, 'r', options('b', Date.now, 60))).rejects.toMatchObject({ code: 'CLAIM_HELD' });
    expect(held.lost.aborted).toBe(false);
    await held.release();
  });

  it('given up is free to whoever comes', async () => {
    const store = createMemoryStore();
    const mine = await claim(store, 'r', options('a'));
    await mine.abandon();
    const other = await claim(store, 'r', options('b'));
    expect(other.takenOver).toBe(true);
    await other.release();
  });

  it('is held although the answer to its write was lost, and the write made again found it there', async () => {
    const store = createMemoryStore();
    const forgetful: typeof store = {
      ...store,
      async put(key, bytes, options) {
        const first = await store.put(key, bytes, options);
        return typeof first === 'string' || !options?.ifAbsent ? first : store.put(key, bytes, options);
      },
    };
    const mine = await claim(forgetful, 'r', options('a'));
    expect(mine.takenOver).toBe(false);
    await expect(claim(forgetful, 'r', options('a'))).rejects.toMatchObject({ code: 'CLAIM_HELD' });
    await mine.release();
    expect(await isClaimed(store, 'c/', 'r')).toBe(false);
  });

  it('is renewed, taken over and given back although the first answer to each write was lost', async () => {
    const store = createMemoryStore();
    const repeating: typeof store = {
      ...store,
      async put(key, bytes, options) {
        const first = await store.put(key, bytes, options);
        return typeof first === 'string' ? first : store.put(key, bytes, options);
      },
      async delete(key, options) {
        await store.delete(key, options);
        return store.delete(key, options);
      },
    };
    await (await claim(store, 'r', options('a'))).abandon();
    let time = Date.now();
    const mine = await claim(
      repeating,
      'r',
      options('b', () => time++, 60),
    );
    expect(mine.takenOver).toBe(true);
    const before = (await store.head(claimKey('c/', 'r')))!.etag;
    await expect.poll(async () => (await store.head(claimKey('c/', 'r')))!.etag).not.toBe(before);
    expect(mine.lost.aborted).toBe(false);
    await mine.release();
    expect(await isClaimed(store, 'c/', 'r')).toBe(false);
  });

  it('whose renewal was written and said to have failed is still its own to give back', async () => {
    const store = createMemoryStore();
    let lost = 0;
    const broken: typeof store = {
      ...store,
      async put(key, bytes, options) {
        const written = await store.put(key, bytes, options);
        if (options?.ifMatch && lost++ === 0) throw new ElfinError('STORE_FAILED', 'It hung up.');
        return written;
      },
    };
    let time = Date.now();
    const mine = await claim(
      broken,
      'r',
      options('a', () => time++, 200),
    );
    await expect.poll(() => lost).toBe(1);
    await mine.release();
    expect(await isClaimed(store, 'c/', 'r')).toBe(false);
  });

  it('that is no claim at all is nobody’s', async () => {
    const store = createMemoryStore();
    await store.put(claimKey('c/', 'r'), new TextEncoder().encode('{"half'), {});
    const taken = await claim(store, 'r', options('a'));
    expect(taken.takenOver).toBe(true);
    await taken.release();
  });
});
