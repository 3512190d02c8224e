import { ElfinError } from '@elfin/core';
import { batchOperations } from './batch-operations.ts';
import type { EventSource, Item, ParseNested } from './event.ts';
import { eventbridge } from './eventbridge.ts';
import { minio } from './minio.ts';
import { r2 } from './r2.ts';
import { s3 } from './s3.ts';
import { sns } from './sns.ts';
import { sqs } from './sqs.ts';
import { versitygw } from './versitygw.ts';

/** Every envelope that elfin knows, the particular before the general: MinIO and versitygw also look like S3. */
export const EVENT_SOURCES: readonly EventSource[] = [sqs, sns, batchOperations, eventbridge, r2, minio, versitygw, s3];

/** SQS around SNS around S3 is three; deeper is an attack, not a delivery. */
const DEEPEST = 4;

/**
 * Reads any envelope. Never throws and drops nothing: what cannot be read comes back as an item with its error
 * (EVENT_INVALID names the field's path; EVENT_UNKNOWN where no source recognises it).
 */
export function parseEnvelope(value: unknown, sources: readonly EventSource[] = EVENT_SOURCES): readonly Item[] {
  const parse = (inner: unknown, path: string, depth: number): readonly Item[] => {
    const source = depth < DEEPEST ? sources.find((candidate) => recognises(candidate, inner)) : undefined;
    if (source) return readWith(source, inner, path, (nested, at) => parse(nested, at, depth + 1));
    const names = sources.map(({ name }) => name).join(', ');
    const reason = depth < DEEPEST ? `is none of ${names}` : `lies more than ${DEEPEST} envelopes deep`;
    const message = `The event at ${path} ${reason}; add an event source for it, or stop it at its sender.`;
    return [{ path, error: new ElfinError('EVENT_UNKNOWN', message, { data: { path } }) }];
  };
  return parse(value, '$', 0);
}

// Sources may be the application's own: one that throws or answers nothing must not lose an event.
function recognises(source: EventSource, value: unknown): boolean {
  try {
    return source.is(value);
  } catch {
    return false;
  }
}

function readWith(source: EventSource, value: unknown, path: string, nested: ParseNested): readonly Item[] {
  try {
    const items = source.parse(value, path, nested);
    return items.length > 0 ? items : [{ path, ignored: `${source.name}: nothing in it` }];
  } catch (cause) {
    const message = `The ${source.name} source could not read the event at ${path}; mend the source.`;
    return [{ path, error: new ElfinError('EVENT_INVALID', message, { cause, data: { source: source.name, path } }) }];
  }
}
