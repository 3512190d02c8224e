import { ElfinError } from '@elfin/core';
import type { ObjectHead, ObjectStore } from '@elfin/storage';
import type { Rule } from '../rules/rules.ts';

/** What lies with a result beside its bytes: taken over from the source or said by the rule. */
export interface PreservedAttributes {
  readonly metadata: Readonly<Record<string, string>>;
  readonly tags?: Readonly<Record<string, string>> | undefined;
  readonly storageClass?: string | undefined;
}

interface Place {
  readonly store: ObjectStore;
  readonly bucket: string;
}

/** @throws CONFIG_INVALID where a rule speaks of tags and a store that it uses has none. */
export function assertTags(rule: Rule, ...places: readonly Place[]): void {
  const lacking = usesTags(rule) ? places.find(({ store }) => store.tags === undefined) : undefined;
  if (lacking === undefined) return;
  const message = `${rule.name} speaks of tags, which the store of bucket ${lacking.bucket} does not have; leave them out.`;
  throw new ElfinError('CONFIG_INVALID', message, { data: { rule: rule.name, bucket: lacking.bucket } });
}

const usesTags = ({ keep, tags }: Rule) => tags !== undefined || keep.includes('tags');

/** What a result of `source` is to have. */
export async function attributesOf(
  rule: Rule,
  source: {
    readonly store: ObjectStore;
    readonly key: string;
    readonly head: ObjectHead;
    readonly versionId?: string | undefined;
  },
  signal: AbortSignal,
): Promise<PreservedAttributes> {
  const { store, key, head, versionId } = source;
  const kept = rule.keep.includes('tags') ? await store.tags?.(key, { signal, versionId }) : undefined;
  const storageClass = rule.storageClass ?? (rule.keep.includes('storageClass') ? head.storageClass : undefined);
  return {
    metadata: rule.keep.includes('userMetadata') ? head.metadata : {},
    tags: usesTags(rule) ? { ...kept, ...rule.tags } : undefined,
    storageClass,
  };
}

/** What a result that is there already has: its alias gets the same. */
export async function attributesOfResult(
  rule: Rule,
  { store, key, head }: { readonly store: ObjectStore; readonly key: string; readonly head: ObjectHead },
  signal: AbortSignal,
): Promise<PreservedAttributes> {
  return {
    metadata: head.metadata,
    tags: usesTags(rule) ? ((await store.tags?.(key, { signal })) ?? {}) : undefined,
    storageClass: head.storageClass,
  };
}
