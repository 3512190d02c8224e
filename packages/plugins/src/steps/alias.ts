import { ElfinError } from '@elfin/core';
import { readAll } from '@elfin/storage';
import { attributesOfResult, type PreservedAttributes } from '../job/attributes.ts';
import { markedMetadata, ORIGIN_MARK, originOf, RESTORED_MARK, SEQUENCER_MARK } from '../job/marks.ts';
import type { Plan } from '../job/plan.ts';
import { pause } from '../job/retry.ts';
import { compareSequencers } from '../job/sequencer.ts';
import { CONTENT_TYPES } from '../rules/format.ts';

const ATTEMPTS = 8;

/** A result at hand. */
export interface MadeResult {
  readonly bytes: Uint8Array;
  readonly attributes: PreservedAttributes;
}

/**
 * Writes the stable copy of a result by compare-and-swap, only while the source is still the one that it was made of: a
 * late event never puts an older result over a newer one. Does nothing where the alias is up to date.
 *
 * @param result The result where it is at hand; it is read from the store otherwise.
 * @throws OUTPUT_EXISTS where something that is not elfin's lies there, or another source's alias; STORE_FAILED after lost races.
 */
export async function writeAlias(plan: Plan, result: MadeResult | undefined, signal: AbortSignal): Promise<void> {
  const { alias: key, target, source, event, etag, digest } = plan;
  if (key === undefined) return;
  const origin = await originOf(event);
  const taken = (whose: string) => {
    const message = `Alias "${key}" in bucket ${target.bucket} is ${whose} and stays; choose another alias.`;
    return new ElfinError('OUTPUT_EXISTS', message, { data: { key } });
  };
  let made = result;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const there = await target.store.head(key, { signal });
    if (there?.metadata[RESTORED_MARK] === digest) return;
    if (there && there.metadata[RESTORED_MARK] === undefined) throw taken("not elfin's");
    // An older elfin wrote no origin: such an alias is taken for our own.
    if ((there?.metadata[ORIGIN_MARK] ?? origin) !== origin) throw taken("another upload's");
    // Of one source by now: sequencers of two keys say nothing of each other.
    const newer = there?.metadata[SEQUENCER_MARK];
    if (newer !== undefined && event.sequencer !== undefined && compareSequencers(newer, event.sequencer) > 0) return;
    if ((await source.head(event.key, { signal }))?.etag !== etag) return;

    made ??= await readResult(plan, signal);
    const { metadata, ...others } = made.attributes;
    const written = await target.store.put(key, made.bytes, {
      ...others,
      ...(there ? { ifMatch: there.etag } : { ifAbsent: true }),
      type: CONTENT_TYPES[plan.options.format],
      metadata: markedMetadata(metadata, { digest, etag, sequencer: event.sequencer, origin }),
      signal,
    });
    if (typeof written !== 'string') return;
    await pause(Math.random() * 50 * 2 ** attempt, signal);
  }
  throw new ElfinError('STORE_FAILED', `Alias "${key}" is being written by others again and again; try later.`);
}

async function readResult({ rule, target }: Plan, signal: AbortSignal): Promise<MadeResult> {
  const { store, key } = target;
  const found = await store.get(key, { signal });
  if (found === undefined || found === 'changed') {
    throw new ElfinError(
      'STORE_FAILED',
      `The result "${key}" was there and is not any more; the event is worked on again.`,
    );
  }
  const bytes = await readAll(found.body);
  return { bytes, attributes: await attributesOfResult(rule, { store, key, head: found }, signal) };
}
