import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ElfinError } from '@elfin/core';
import { createMemoryStore } from '@elfin/storage';
import { createFolderStore } from '@elfin/storage/node';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createFlight } from './flight.ts';
import { type Claim, createJobs, isClaim } from './jobs.ts';
import { within } from './waiting.ts';

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'elfin-jobs-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const claimOf = async (outcome: ReturnType<ReturnType<typeof createJobs>['claim']>) => {
  const claim = await outcome;
  expect(isClaim(claim)).toBe(true);
  return claim as Claim;
};

describe('jobs', () => {
  test('one owner at a time; a final state is told and may be taken again', async () => {
    const store = createMemoryStore();
    const [one, two] = [createJobs({ store }), createJobs({ store })];
    const claim = await claimOf(one.claim('a'));
    expect(await two.claim('a')).toMatchObject({ state: 'running' });
    await claim.end('done');
    expect(await two.get('a')).toMatchObject({ state: 'done', progress: 1 });
    await (await claimOf(two.claim('a'))).end('failed', new ElfinError('IMAGE_CORRUPT', 'Broken.'));
    expect(await one.get('a')).toMatchObject({ state: 'failed', error: { code: 'IMAGE_CORRUPT', message: 'Broken.' } });
    expect(await one.get('none')).toBeUndefined();
  });

  test('a lease is renewed while its holder lives, and taken over once it does not', async () => {
    const store = createMemoryStore();
    const alive = createJobs({ store, lease: 60 });
    const claim = await claimOf(alive.claim('a'));
    claim.progress(0.5);
    await sleep(200);
    expect(await createJobs({ store }).claim('a')).toMatchObject({ state: 'running', progress: 0.5 });
    await claim.end('done');
    // A holder whose writes no longer arrive is as good as dead.
    let cut = false;
    const cutOff = {
      ...store,
      put: (...call: Parameters<typeof store.put>) => (cut ? Promise.reject(new Error('cut')) : store.put(...call)),
    };
    const dying = await claimOf(createJobs({ store: cutOff, lease: 60 }).claim('a'));
    cut = true;
    await expect.poll(() => dying.signal.aborted, { timeout: 20_000 }).toBe(true);
    const heir = await claimOf(createJobs({ store }).claim('a'));
    cut = false;
    await dying.end('done');
    expect(await createJobs({ store }).get('a')).toMatchObject({ state: 'running' });
    await heir.end('done');
  });

  test('cancelling stops the holder, here at once and elsewhere at its renewal', async () => {
    const store = createMemoryStore();
    const [one, two] = [createJobs({ store, lease: 60 }), createJobs({ store })];
    const near = await claimOf(one.claim('near'));
    expect(await one.cancel('near')).toMatchObject({ state: 'cancelled' });
    expect(near.signal.reason).toMatchObject({ code: 'JOB_CANCELLED' });
    const far = await claimOf(one.claim('far'));
    await two.cancel('far');
    await expect.poll(() => far.signal.reason, { timeout: 20_000 }).toMatchObject({ code: 'JOB_CANCELLED' });
    await far.end('done');
    expect(await two.get('far')).toMatchObject({ state: 'cancelled' });
    expect(await two.cancel('none')).toBeUndefined();
  });

  test('queued work is a consumer’s to take, and no request’s', async () => {
    const jobs = createJobs({ store: createMemoryStore() });
    await (await claimOf(jobs.claim('a'))).end('queued');
    expect(await jobs.claim('a')).toMatchObject({ state: 'queued' });
    await (await claimOf(jobs.claim('a', { queued: true }))).end('done');
  });

  test('what was cancelled in the queue no consumer begins again, but a new request may', async () => {
    const jobs = createJobs({ store: createMemoryStore() });
    await (await claimOf(jobs.claim('a'))).end('queued');
    await jobs.cancel('a');
    expect(await jobs.claim('a', { queued: true })).toMatchObject({ state: 'cancelled' });
    await (await claimOf(jobs.claim('a'))).end('done');
  });

  test('a record tells of the server’s own troubles what an answer would', async () => {
    const jobs = createJobs({ store: createMemoryStore() });
    const inner = new ElfinError('NETWORK_FAILED', 'http://10.0.0.7:8000 hung up.');
    await (await claimOf(jobs.claim('a'))).end('failed', inner);
    expect(JSON.stringify(await jobs.get('a'))).not.toContain('10.0.0.7');
  });

  test('records expire', async () => {
    const jobs = createJobs({ store: createMemoryStore(), keep: 20 });
    await (await claimOf(jobs.claim('a'))).end('done');
    await sleep(40);
    expect(await jobs.get('a')).toBeUndefined();
  });
});

describe('single flight', () => {
  const results = new Map<string, string>();
  const flightOver = (root: string, options = {}) =>
    createFlight<string>({
      jobs: createJobs({ store: createFolderStore({ root }) }),
      ...options,
    });

  test('1,000 requests in four processes’ worth of flights run the work once', async () => {
    results.clear();
    let runs = 0;
    const work = async () => {
      runs += 1;
      await sleep(100);
      results.set('a', 'result');
      return 'result';
    };
    const flights = Array.from({ length: 4 }, () => flightOver(folder));
    const all = await Promise.all(
      Array.from({ length: 1000 }, (_, i) =>
        flights[i % 4]?.join({ id: 'a', collect: async () => results.get('a'), work }),
      ),
    );
    expect(new Set(all)).toEqual(new Set(['result']));
    expect(runs).toBe(1);
    expect(flights.map(({ size }) => size)).toEqual([0, 0, 0, 0]);
  });

  test('a failure reaches all who wait, once, and the next request tries anew', async () => {
    let runs = 0;
    const failing = async (): Promise<string> => {
      runs += 1;
      await sleep(50);
      throw new ElfinError('SOURCE_MISSING', 'Gone.');
    };
    const flights = [flightOver(folder), flightOver(folder)];
    const all = await Promise.allSettled(
      Array.from({ length: 20 }, (_, i) =>
        flights[i % 2]?.join({ id: 'b', collect: async () => results.get('b'), work: failing }),
      ),
    );
    expect(all.every((one) => one.status === 'rejected' && one.reason.code === 'SOURCE_MISSING')).toBe(true);
    expect(runs).toBe(1);
    await expect(
      flights[0]?.join({ id: 'b', collect: async () => results.get('b'), work: async () => 'now' }),
    ).resolves.toBe('now');
  });

  test('where promises cannot be shared the record alone keeps it single, and a waiter can leave', async () => {
    results.clear();
    let runs = 0;
    const flight = flightOver(folder, { shared: false });
    const work = async () => {
      runs += 1;
      await sleep(150);
      results.set('c', 'result');
      return 'result';
    };
    const leaving = new AbortController();
    const all = Array.from({ length: 5 }, () => flight.join({ id: 'c', collect: async () => results.get('c'), work }));
    await sleep(30);
    const left = flight.join({
      id: 'c',
      collect: async () => results.get('c'),
      work,
      signal: leaving.signal,
    });
    leaving.abort(new ElfinError('DEADLINE_EXCEEDED', 'Late.'));
    await expect(left).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect(new Set(await Promise.all(all))).toEqual(new Set(['result']));
    expect(runs).toBe(1);
  });

  test('whoever joins is told when the record is there, however slow its store', async () => {
    const store = createMemoryStore();
    const slow = {
      ...store,
      put: (...call: Parameters<typeof store.put>) => sleep(80).then(() => store.put(...call)),
    };
    const jobs = createJobs({ store: slow });
    const flight = createFlight<string>({ jobs });
    const states: Promise<unknown>[] = [];
    const all = [1, 2].map(() =>
      flight.join({
        id: 'd',
        collect: async () => undefined,
        work: () => sleep(50).then(() => 'result'),
        onRecord: () => states.push(jobs.get('d')),
      }),
    );
    expect(await Promise.all(all)).toEqual(['result', 'result']);
    expect(await Promise.all(states)).toMatchObject([{ state: 'running' }, { state: 'running' }]);
  });

  test('a queue that takes nothing leaves work that the next request can begin', async () => {
    const jobs = createJobs({ store: createMemoryStore() });
    const flight = createFlight<string>({ jobs, shared: false });
    const request = { id: 'e', collect: async () => undefined, work: async () => 'result' };
    const enqueue = () => Promise.reject(new Error('down'));
    const left = flight.join({ ...request, handover: AbortSignal.abort(), enqueue });
    await expect(left).rejects.toMatchObject({ code: 'STORE_FAILED' });
    expect(await jobs.get('e')).toMatchObject({ state: 'failed', error: { code: 'STORE_FAILED' } });
    await expect(flight.join(request)).resolves.toBe('result');
  });

  test('work is sent to the queue once its record is a consumer’s to take, and not where it was cancelled', async () => {
    const store = createMemoryStore();
    const [jobs, elsewhere] = [createJobs({ store }), createJobs({ store })];
    const flight = createFlight<string>({ jobs, shared: false });
    const states: unknown[] = [];
    const left = (id: string, work: () => Promise<string>, handover: AbortSignal) =>
      flight.join({
        id,
        work,
        handover,
        collect: async () => undefined,
        enqueue: async () => void states.push((await jobs.get(id))?.state),
      });
    await expect(left('f', async () => 'result', AbortSignal.abort())).rejects.toMatchObject({ code: 'PENDING' });
    expect(states).toEqual(['queued']);
    const handover = new AbortController();
    const stopping = async () => {
      await elsewhere.cancel('g');
      handover.abort();
      throw new Error('stopped');
    };
    await expect(left('g', stopping, handover.signal)).rejects.toMatchObject({ code: 'JOB_CANCELLED' });
    expect(states).toEqual(['queued']);
  });

  test('within gives up waiting and not the work', async () => {
    let finish = (_: string) => {};
    const slow = new Promise<string>((resolve) => {
      finish = resolve;
    });
    expect(await within(slow, 5, 'late')).toBe('late');
    finish('done');
    expect(await within(slow, 60_000, 'late')).toBe('done');
  });
});
