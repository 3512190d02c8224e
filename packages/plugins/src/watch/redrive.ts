import { readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ElfinError } from '@elfin/core';
import { type ObjectStore, readAll } from '@elfin/storage';
import type { Outcome } from '../job/outcome.ts';
import type { QuarantineEntry } from '../job/quarantine.ts';
import type { Trigger } from '../trigger.ts';

/**
 * Moves what `elfin watch` has set aside back among what is still to be done; a process that works on the journal takes it up
 * with its next start.
 *
 * @returns how many events were moved.
 * @throws INPUT_UNREADABLE for a folder that is no journal, OUTPUT_UNWRITABLE.
 */
export async function redriveJournal(folder: string): Promise<number> {
  const dead = join(folder, 'dead');
  const names = await readdir(dead).catch((cause: unknown) => {
    throw new ElfinError('INPUT_UNREADABLE', `${folder} is no journal: it has no folder "dead"; name one.`, { cause });
  });
  const events = names.filter((name) => name.endsWith('.json'));
  try {
    for (const name of events) {
      await rename(join(dead, name), join(folder, 'pending', name));
      await rm(join(dead, `${name}.reason`), { force: true });
    }
  } catch (cause) {
    throw new ElfinError('OUTPUT_UNWRITABLE', `The journal in ${folder} cannot be written; check its rights.`, {
      cause,
    });
  }
  return events.length;
}

export interface RedriveQuarantineOptions {
  readonly store: ObjectStore;
  readonly bucket: string;
  /** Only objects whose key begins so. Default: all. */
  readonly prefix?: string | undefined;
  /** Where the entries lie. Default `.elfin/quarantine/`. */
  readonly quarantine?: string | undefined;
  readonly trigger: Pick<Trigger, 'process'>;
  readonly signal?: AbortSignal | undefined;
  readonly onOutcome?: ((key: string, outcome: Outcome) => void) | undefined;
}

/**
 * Tries each quarantined object again, under the rules of today; its entry goes once that has settled, unless it is written
 * anew for the same reason.
 *
 * @returns how many objects came to which outcome.
 */
export async function redriveQuarantine(options: RedriveQuarantineOptions): Promise<Record<string, number>> {
  const { store, bucket, prefix = '', quarantine = '.elfin/quarantine/', trigger, signal, onOutcome } = options;
  const outcomes: Record<string, number> = {};
  let cursor: string | undefined;
  do {
    const page = await store.list(quarantine, cursor, { signal });
    for (const { key: place } of page.objects) {
      const entry = await entryAt(store, place);
      if (entry === undefined || entry.bucket !== bucket || !entry.key.startsWith(prefix)) continue;
      const event = { kind: 'created', name: 'Redrive', source: 'redrive', bucket, key: entry.key } as const;
      const outcome = await trigger.process(event, signal ? { signal } : {});
      const again = outcome.status === 'quarantined' && outcome.key === place;
      if (outcome.status !== 'failed' && !again) await store.delete(place);
      outcomes[outcome.status] = (outcomes[outcome.status] ?? 0) + 1;
      onOutcome?.(entry.key, outcome);
    }
    cursor = page.cursor;
  } while (cursor !== undefined && !signal?.aborted);
  return outcomes;
}

const MAX_ENTRY_BYTES = 65_536;

/** Undefined for what is no entry. */
async function entryAt(store: ObjectStore, key: string): Promise<QuarantineEntry | undefined> {
  const found = await store.get(key);
  if (found === undefined || found === 'changed') return undefined;
  const bytes = await readAll(found.body, { limit: MAX_ENTRY_BYTES, what: `"${key}"` });
  try {
    const entry = JSON.parse(new TextDecoder().decode(bytes)) as Partial<QuarantineEntry> | null;
    return typeof entry?.bucket === 'string' && typeof entry.key === 'string' ? (entry as QuarantineEntry) : undefined;
  } catch {
    return undefined;
  }
}
