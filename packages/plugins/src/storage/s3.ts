import {
  DeleteObjectCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
  type StorageClass,
} from '@aws-sdk/client-s3';
import { ElfinError } from '@elfin/core';
import type { ObjectStore } from '@elfin/storage';
import { bareEtag } from '../events/event.ts';
import { directly } from './s3-direct.ts';
import { s3Error } from './s3-error.ts';
import { headOf, metadataOf, quoted, taggingOf, type WriteExtras } from './s3-head.ts';
import { bytesOf } from './storage.ts';

export interface S3StorageOptions {
  /** Any endpoint: Amazon's, MinIO's (`forcePathStyle: true`), versitygw's. */
  readonly client: S3Client;
  readonly bucket: string;
  /** Goes with every write, claims included; storage class and tags of results are a rule's to say. */
  readonly put?: WriteExtras;
  /**
   * Whether objects are read and written past the SDK's middleware, for a third of the processor time; whatever is not
   * answered plainly is asked again through it. Default true; a client that has middleware of its own by its first request
   * is used as it is all the same. Say false where `send` itself is replaced, as mocks do.
   */
  readonly direct?: boolean;
}

/**
 * A bucket behind the S3 API. 412 means that a condition does not hold, 409 that another write is under way.
 * Errors: STORE_FAILED, INPUT_UNREADABLE, CREDENTIALS_EXPIRED, KEY_UNSAFE, OUTPUT_UNWRITABLE, ABORTED.
 */
export function createS3Storage(options: S3StorageOptions): ObjectStore {
  const { client, bucket, put: extra = {}, direct = true } = options;
  const at = (key: string) => ({ Bucket: bucket, Key: key });
  const doing = (verb: string, key: string) => ({ verb, bucket, key });
  const store: ObjectStore = {
    async head(key, { versionId, signal } = {}) {
      try {
        const command = new HeadObjectCommand({ ...at(key), ...(versionId && { VersionId: versionId }) });
        return headOf(await client.send(command, sending(signal)));
      } catch (error) {
        const status = statusOf(error) ?? 0;
        if (status === 404) return undefined;
        if (status < 400 || status > 403) throw s3Error(error, doing('read', key));
        // A refused HEAD has no body that could say why: expired credentials look like none at all. A GET does.
        const found = await store.get(key, {
          ...(versionId && { versionId }),
          ...(signal && { signal }),
          range: { start: 0, end: 0 },
        });
        if (found === undefined || found === 'changed') return undefined;
        await found.body.cancel();
        throw s3Error(error, doing('read', key));
      }
    },
    async get(key, { ifMatch, versionId, range, signal } = {}) {
      try {
        const command = new GetObjectCommand({
          ...at(key),
          ...(ifMatch && { IfMatch: quoted(ifMatch) }),
          ...(versionId && { VersionId: versionId }),
          ...(range && { Range: `bytes=${range.start}-${range.end ?? ''}` }),
        });
        const answer = await client.send(command, sending(signal));
        if (!answer.Body)
          throw new ElfinError('STORE_FAILED', `"${key}" came from ${bucket} without a body; try again.`);
        return { ...headOf(answer), body: answer.Body.transformToWebStream() as ReadableStream<Uint8Array> };
      } catch (error) {
        if (statusOf(error) === 412) return 'changed';
        if (isMissing(error)) return undefined;
        throw s3Error(error, doing('read', key));
      }
    },
    async put(key, input, { ifAbsent, ifMatch, type, metadata, tags, storageClass, signal } = {}) {
      try {
        const command = new PutObjectCommand({
          ...extra,
          ...at(key),
          Body: await bytesOf(input),
          ...(ifAbsent && { IfNoneMatch: '*' }),
          ...(ifMatch && { IfMatch: quoted(ifMatch) }),
          ...(type && { ContentType: type }),
          ...(metadata && { Metadata: metadataOf(metadata) }),
          ...(tags && Object.keys(tags).length > 0 && { Tagging: taggingOf(tags) }),
          ...(storageClass && { StorageClass: storageClass as StorageClass }),
        });
        const answer = await client.send(command, sending(signal));
        return { etag: bareEtag(answer.ETag) ?? '' };
      } catch (error) {
        const status = statusOf(error);
        if (status === 412) return ifAbsent ? 'exists' : 'conflict';
        if (status === 409 && nameOf(error) === 'ConditionalRequestConflict') return 'conflict';
        // With If-Match, 404 says that there is nothing left to match.
        if (ifMatch && isMissing(error)) return 'conflict';
        throw s3Error(error, doing('write', key));
      }
    },
    async delete(key, { ifMatch } = {}) {
      try {
        // Amazon and versitygw honour If-Match here; MinIO does not know it and deletes.
        await client.send(new DeleteObjectCommand({ ...at(key), ...(ifMatch && { IfMatch: quoted(ifMatch) }) }));
        return true;
      } catch (error) {
        const status = statusOf(error);
        if (isMissing(error)) return true;
        if (status === 412 || status === 409) return false;
        throw s3Error(error, doing('delete', key));
      }
    },
    async tags(key, { versionId, signal } = {}) {
      try {
        const command = new GetObjectTaggingCommand({ ...at(key), ...(versionId && { VersionId: versionId }) });
        const { TagSet = [] } = await client.send(command, sending(signal));
        return Object.fromEntries(TagSet.map(({ Key = '', Value = '' }) => [Key, Value]));
      } catch (error) {
        // versitygw's word for an object without tags.
        if (isMissing(error) || nameOf(error) === 'NoSuchTagSet') return {};
        throw s3Error(error, doing('read the tags of', key));
      }
    },
    async list(prefix, cursor) {
      try {
        // By the last key and not by the server's token: that stays good in a cursor file, whoever goes on with it.
        const page = await client.send(
          new ListObjectsV2Command({
            Bucket: bucket,
            Prefix: prefix,
            EncodingType: 'url',
            ...(cursor && { StartAfter: cursor }),
          }),
        );
        const decode = (key: string) =>
          page.EncodingType === 'url' ? decodeURIComponent(key.replaceAll('+', ' ')) : key;
        const objects = (page.Contents ?? []).map((object) => ({
          key: decode(object.Key ?? ''),
          ...headOf({ ETag: object.ETag, ContentLength: object.Size, LastModified: object.LastModified }),
        }));
        const last = objects.at(-1)?.key;
        return { objects, ...(page.IsTruncated && last !== undefined && { cursor: last }) };
      } catch (error) {
        throw s3Error(error, doing('list', prefix));
      }
    },
  };
  return direct ? directly(store, { client, bucket, extra }) : store;
}

const sending = (signal: AbortSignal | undefined) => (signal ? { abortSignal: signal } : {});
const statusOf = (error: unknown) => (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;
const nameOf = (error: unknown) => (error as { name?: string }).name;

// By name: a missing bucket is a 404 as well, and at versitygw an unknown access key.
const MISSING = new Set(['NoSuchKey', 'NotFound', 'NoSuchVersion']);
const isMissing = (error: unknown) => statusOf(error) === 404 && MISSING.has(nameOf(error) ?? '');
