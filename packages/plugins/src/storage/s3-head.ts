import type { PutObjectCommandInput } from '@aws-sdk/client-s3';
import type { ObjectHead } from '@elfin/storage';
import { bareEtag, compact } from '../events/event.ts';
import { decodeWords, encodeWords } from './encoded-words.ts';

/** What S3 says of an object, by the SDK's names. */
export interface S3Head {
  readonly ETag?: string | undefined;
  readonly ContentLength?: number | undefined;
  readonly ContentType?: string | undefined;
  readonly Metadata?: Record<string, string> | undefined;
  readonly LastModified?: Date | undefined;
  readonly VersionId?: string | undefined;
  readonly StorageClass?: string | undefined;
}

/** What may go with every write of a store. */
export type WriteExtras = Pick<
  PutObjectCommandInput,
  'ServerSideEncryption' | 'SSEKMSKeyId' | 'CacheControl' | 'ACL' | 'ExpectedBucketOwner'
>;

export const headOf = (answer: S3Head): ObjectHead =>
  compact<ObjectHead>({
    etag: bareEtag(answer.ETag) ?? '',
    size: answer.ContentLength ?? 0,
    type: answer.ContentType,
    metadata: eachValue(answer.Metadata ?? {}, decodeWords),
    modified: answer.LastModified?.getTime(),
    versionId: answer.VersionId === 'null' ? undefined : answer.VersionId,
    storageClass: answer.StorageClass === 'STANDARD' ? undefined : answer.StorageClass,
  });

/** User metadata as the headers of a write have it. */
export const metadataOf = (metadata: Readonly<Record<string, string>>) => eachValue(metadata, encodeWords);

const eachValue = (fields: Readonly<Record<string, string>>, change: (value: string) => string) =>
  Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, change(value)]));

/** Tags as the header of a write has them. */
export const taggingOf = (tags: Readonly<Record<string, string>>) =>
  Object.entries(tags)
    .map((pair) => pair.map(encodeURIComponent).join('='))
    .join('&');

export const quoted = (etag: string) => `"${etag}"`;
