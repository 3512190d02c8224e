import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ElfinError } from '@elfin/core';
import { createMemoryStore, type ObjectStore } from '@elfin/storage';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cheapRestorer, upload } from '../../../../test/helpers/upload.ts';
import { openJournal, startDrain } from '../entries/node.ts';
import { asS3Notification } from '../entries/sqs.ts';
import { createTrigger } from '../index.ts';
import type { DrainOptions } from './drain.ts';

let folder: string;
const ends: (() => Promise<unknown>)[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'elfin-drain-'));
});
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
  await rm(folder, { recursive: true, force: true });
});

const STORE_FAILED = new ElfinError('STORE_FAILED', 'The store said no.');
/** One envelope of several records. */
const envelope = (...keys: string[]) => ({
  Records: keys.flatMap((key) => {
    const event = { kind: 'created', name: 'Put', source: 'test', bucket: 'photos', key } as const;
    return JSON.parse(asS3Notification(event)).Records as unknown[];
  }),
});
const dead = () => readdir(join(folder, 'dead'));
const results = (store: { keys(): readonly string[] }) => store.keys().filter((key) => key.startsWith('restored/'));

/** @param failure Of each source that is read, by its key; none where it is undefined. */
async function setUp(failure: (key: string) => ElfinError | undefined, options: Partial<DrainOptions> = {}) {
  const store = createMemoryStore();
  const failing: ObjectStore = {
    ...store,
    async head(key, asked) {
      const error = failure(key);
      if (error) throw error;
      return store.head(key, asked);
    },
  };
  const trigger = createTrigger({
    rules: [{ prefix: 'incoming/', task: 'derain' }],
    storage: () => failing,
    restorer: cheapRestorer(),
    retries: { attempts: 1 },
  });
  const journal = await openJournal(folder);
  const start = async () => {
    const drain = await startDrain({ journal, trigger, baseMs: 1, ...options });
    ends.push(() => drain.stop());
    return drain;
  };
  return { store, journal, start };
}

describe('an event that may pass', () => {
  it('stays, however often it fails', async () => {
    let tries = 0;
    const { journal, start } = await setUp(() => STORE_FAILED, {
      baseMs: 1 / 2 ** 14,
      onHandled: () => tries++,
    });
    await journal.append(envelope('incoming/a.jpg'));
    await start();
    await expect.poll(() => tries, { timeout: 10_000 }).toBeGreaterThan(14);
    expect(await journal.pending()).toHaveLength(1);
    expect(await dead()).toEqual([]);
  });

  it('is set aside once it has been tried for too long', async () => {
    const { journal, start } = await setUp(() => STORE_FAILED, { patienceMs: 30 });
    await journal.append(envelope('incoming/a.jpg'));
    await (await start()).idle();
    expect(await journal.pending()).toEqual([]);
    const [, reason = ''] = (await dead()).sort();
    const told = JSON.parse(await readFile(join(folder, 'dead', reason), 'utf8'));
    expect(told).toMatchObject({ errors: [{ code: 'STORE_FAILED' }] });
    expect(told.tries).toBeGreaterThan(1);
  });

  it('is not lost with one beside it that never will', async () => {
    let weak = 2;
    const denied = new ElfinError('INPUT_UNREADABLE', 'It is denied.');
    const { store, journal, start } = await setUp((key) => {
      if (key === 'incoming/denied.jpg') return denied;
      return key === 'incoming/weak.jpg' && weak-- > 0 ? STORE_FAILED : undefined;
    });
    await upload(store, 'incoming/weak.jpg', 'photo');
    await journal.append(envelope('incoming/denied.jpg', 'incoming/weak.jpg'));
    await (await start()).idle();
    expect(results(store)).toHaveLength(1);
    expect(await journal.pending()).toEqual([]);
    const [, reason = ''] = (await dead()).sort();
    expect(JSON.parse(await readFile(join(folder, 'dead', reason), 'utf8'))).toMatchObject({
      errors: [{ code: 'INPUT_UNREADABLE' }],
    });
  });

  it('is left to the next process where this one is stopped amid its last try', async () => {
    const { store, journal, start } = await setUp(
      () => {
        drain.stop();
        return STORE_FAILED;
      },
      { patienceMs: 0 },
    );
    await upload(store, 'incoming/a.jpg', 'photo');
    const drain = await start();
    await journal.append(envelope('incoming/a.jpg'));
    await drain.stop();
    expect(await journal.pending()).toHaveLength(1);
    expect(await dead()).toEqual([]);
  });
});

it('sets a file aside that is no JSON, and says so', async () => {
  const told: unknown[] = [];
  const { start } = await setUp(() => undefined, { onHandled: (handled) => told.push(...handled) });
  await writeFile(join(folder, 'pending', '000-half.json'), '{"Rec');
  await (await start()).idle();
  expect(await readdir(join(folder, 'pending'))).toEqual([]);
  expect((await dead()).sort()).toEqual(['000-half.json', '000-half.json.reason']);
  expect(await readFile(join(folder, 'dead', '000-half.json'), 'utf8')).toBe('{"Rec');
  expect(told).toMatchObject([{ outcome: { status: 'failed', error: { code: 'EVENT_INVALID' } } }]);
});
