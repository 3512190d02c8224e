import { ElfinError, type ObjectStore } from '@elfin/core';
import { CONTENT_TYPES } from './format.ts';
import { markedMetadata, RESTORED_MARK, SEQUENCER_MARK } from './marks.ts';
import type { Plan } from './plan.ts';
import { pause } from './retry.ts';
import { compareSequencers } from './sequencer.ts';
import { readAll } from './storage/storage.ts';

const ATTEMPTS = 8;

/**
 * Writes the stable copy of a result by compare-and-swap, only while the source is still the one that it was made of: a
 * late event never puts an older result over a newer one. Does nothing where the alias is up to date.
 *
 * @param made The result's bytes where they are at hand; they are read from the store otherwise.
 * @throws OUTPUT_EXISTS where something that is not elfin's lies there, STORE_FAILED after lost races.
 */
export async function writeAlias(plan: Plan, made: Uint8Array | undefined, signal: AbortSignal): Promise<void> {
  const { alias: key, target, source, event, etag, digest } = plan;
  if (key === undefined) return;
  let bytes = made;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const there = await target.store.head(key, { signal });
    if (there?.metadata[RESTORED_MARK] === digest) return;
    if (there && there.metadata[RESTORED_MARK] === undefined) {
      const message = `Alias "${key}" in bucket ${target.bucket} is not elfin's and stays; choose another alias.`;
      throw new ElfinError('OUTPUT_EXISTS', message, { data: { key } });
    }
    const newer = there?.metadata[SEQUENCER_MARK];
    if (newer !== undefined && event.sequencer !== undefined && compareSequencers(newer, event.sequencer) > 0) return;
    if ((await source.head(event.key, { signal }))?.etag !== etag) return;

    bytes ??= await readResult(target.store, target.key, signal);
    const written = await target.store.put(key, bytes, {
      ...(there ? { ifMatch: there.etag } : { ifAbsent: true }),
      type: CONTENT_TYPES[plan.options.format],
      metadata: markedMetadata({}, { digest, etag, sequencer: event.sequencer }),
      signal,
    });
    if (typeof written !== 'string') return;
    await pause(Math.random() * 50 * 2 ** attempt, signal);
  }
  throw new ElfinError('STORE_FAILED', `Alias "${key}" is being written by others again and again; try later.`);
}

async function readResult(store: ObjectStore, key: string, signal: AbortSignal): Promise<Uint8Array> {
  const found = await store.get(key, { signal });
  if (found === undefined || found === 'changed') {
    throw new ElfinError(
      'STORE_FAILED',
      `The result "${key}" was there and is not any more; the event is worked on again.`,
    );
  }
  return readAll(found, Number.MAX_SAFE_INTEGER, `"${key}"`);
}
