import { ElfinError, pickResultOptions, type ResultOptions, resultKey } from '@elfin/core';
import type { ObjectHead, ObjectStore } from '@elfin/storage';
import type { UploadEvent } from '../events/event.ts';
import type { UploadRestorer } from '../restorers/restorer.ts';
import { resolveFormat } from '../rules/format.ts';
import { matchesType, type Rule } from '../rules/rules.ts';
import { assertReadableKey, EXTENSIONS, expand, type TemplateValues } from '../rules/template.ts';
import type { Storage } from '../storage.ts';
import { assertTags } from './attributes.ts';

/** What is to be made of one version of one object. */
export interface Plan {
  readonly event: UploadEvent;
  readonly rule: Rule;
  readonly source: ObjectStore;
  readonly etag: string;
  /** A version that was asked for by its id; absent: whatever is there now. */
  readonly versionId?: string | undefined;
  readonly options: ResultOptions;
  readonly target: { readonly store: ObjectStore; readonly bucket: string; readonly key: string };
  readonly digest: string;
  readonly alias?: string | undefined;
}

/** What to make, or why nothing. */
export type Decision =
  | { readonly kind: 'make'; readonly plan: Plan }
  | { readonly kind: 'skip'; readonly reason: string };

/** The store of a bucket. @throws CONFIG_INVALID for a bucket that is not served. */
export function storeOf(storage: Storage, bucket: string): ObjectStore {
  const store = storage(bucket);
  if (store) return store;
  throw new ElfinError('CONFIG_INVALID', `There is no storage for bucket "${bucket}"; add it, or stop its events.`, {
    data: { bucket },
  });
}

/**
 * Decides what to make, by the event alone where it says enough, else by asking the store.
 *
 * @param candidates The rules that want an object of this name, in order.
 * @throws OBJECT_GONE, KEY_UNSAFE, CONFIG_INVALID, STORE_UNSUITABLE, MODEL_UNKNOWN, and what the store throws.
 */
export async function planFor(
  event: UploadEvent,
  candidates: readonly Rule[],
  { storage, restorer, signal }: { storage: Storage; restorer: UploadRestorer; signal: AbortSignal },
): Promise<Decision> {
  assertReadableKey(event.key);
  const source = storeOf(storage, event.bucket);
  const asked = event.etag === undefined ? event.versionId : undefined;
  const enough = event.etag !== undefined && (event.type !== undefined || candidates.every((rule) => !rule.types));
  const head = enough ? undefined : await source.head(event.key, { signal, versionId: asked });
  if (!enough && head === undefined) throw await missing(source, event, signal);
  const type = event.type ?? head?.type;
  const etag = event.etag ?? (head as ObjectHead).etag;
  if (etag === '') throw untold(event);

  const rule = candidates.find((candidate) => matchesType(candidate, type));
  if (rule === undefined) return { kind: 'skip', reason: `no rule wants the content type ${type ?? 'that it lacks'}` };
  const format = resolveFormat(rule, event.key, type);
  const options: ResultOptions = { ...pickResultOptions(rule), restore: rule.task, format };
  const digest = await resultKey({
    source: `s3://${event.bucket}/${event.key}`,
    // By the ETag even where there are versions: listings and some senders know no version, and the same upload must
    // get the same name whoever tells of it.
    validator: { etag },
    options,
    models: await restorer.models(options),
    codec: restorer.codec,
  });
  const values: TemplateValues = { key: event.key, digest, ext: EXTENSIONS[options.format], task: rule.task };
  const bucket = rule.destinationBucket ?? event.bucket;
  const store = storeOf(storage, bucket);
  assertTags(rule, { store: source, bucket: event.bucket }, { store, bucket });
  const plan: Plan = {
    event,
    rule,
    source,
    etag,
    versionId: asked,
    options,
    target: { store, bucket, key: expand(rule.destination, values) },
    digest,
    alias: rule.alias === undefined ? undefined : expand(rule.alias, values),
  };
  return { kind: 'make', plan };
}

/** A gateway over a folder knows no ETag of what came into the folder by another way. */
const untold = ({ bucket, key }: UploadEvent) =>
  new ElfinError(
    'STORE_UNSUITABLE',
    `Bucket ${bucket} has no ETag for "${key}", so its versions could not be told apart; upload it by the S3 API.`,
    { data: { bucket, key } },
  );

/** A HEAD that is denied looks like one of nothing, having no body. So it is asked again in a way that tells why. */
async function missing(source: ObjectStore, event: UploadEvent, signal: AbortSignal): Promise<ElfinError> {
  const { versionId } = event;
  const found = await source.get(event.key, { versionId, signal, range: { start: 0, end: 0 } });
  if (found === undefined || found === 'changed') return gone(event);
  await found.body.cancel();
  return new ElfinError('STORE_FAILED', `"${event.key}" has only just come to bucket ${event.bucket}; try again.`);
}

export const gone = ({ bucket, key }: UploadEvent) =>
  new ElfinError('OBJECT_GONE', `"${key}" is not in bucket ${bucket} any more; there is nothing to restore.`, {
    data: { bucket, key },
  });
