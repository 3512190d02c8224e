import type { S3Client } from '@aws-sdk/client-s3';
import type { ObjectStore } from '@elfin/storage';
import { bareEtag } from '../events/event.ts';
import { headOf, metadataOf, quoted, type S3Head, taggingOf, type WriteExtras } from './s3-head.ts';
import { createSender, type ObjectAnswer } from './s3-request.ts';
import { bytesOf } from './storage.ts';

export interface DirectOptions {
  readonly client: S3Client;
  readonly bucket: string;
  readonly extra: WriteExtras;
}

const EXTRA: Readonly<Record<keyof WriteExtras, string>> = {
  ServerSideEncryption: 'x-amz-server-side-encryption',
  SSEKMSKeyId: 'x-amz-server-side-encryption-aws-kms-key-id',
  CacheControl: 'cache-control',
  ACL: 'x-amz-acl',
  ExpectedBucketOwner: 'x-amz-expected-bucket-owner',
};
const METADATA = 'x-amz-meta-';

/**
 * A store whose reads and writes of single objects take the short way (see `s3-request.ts`). It understands success and
 * what S3's conditions answer by a status alone; everything else is done again by the store of the SDK.
 */
export function directly(sdk: ObjectStore, { client, bucket, extra }: DirectOptions): ObjectStore {
  const send = createSender(client, bucket);
  const always = renamed({ ...extra }, (name) => EXTRA[name as keyof typeof EXTRA]);
  return {
    ...sdk,
    async head(key, options = {}) {
      const { versionId, signal } = options;
      const answer = await send({ method: 'HEAD', key, versionId, signal });
      if (answer?.status === 200) return headOf(said(answer));
      if (answer?.status === 404) return undefined;
      return sdk.head(key, options);
    },
    async get(key, options = {}) {
      const { ifMatch, versionId, range, signal } = options;
      const headers = {
        ...(ifMatch && { 'if-match': quoted(ifMatch) }),
        ...(range && { range: `bytes=${range.start}-${range.end ?? ''}` }),
      };
      const answer = await send({ method: 'GET', key, versionId, headers, signal });
      if (answer?.body) return { ...headOf(said(answer)), body: answer.body };
      if (answer?.status === 412) return 'changed';
      return sdk.get(key, options);
    },
    async put(key, input, options = {}) {
      const { ifAbsent, ifMatch, type, metadata = {}, tags = {}, storageClass, signal } = options;
      const body = await bytesOf(input);
      const headers = {
        ...always,
        ...(ifAbsent && { 'if-none-match': '*' }),
        ...(ifMatch && { 'if-match': quoted(ifMatch) }),
        'content-type': type ?? 'application/octet-stream',
        ...(Object.keys(tags).length > 0 && { 'x-amz-tagging': taggingOf(tags) }),
        ...(storageClass && { 'x-amz-storage-class': storageClass }),
        ...renamed(metadataOf(metadata), (name) => METADATA + name.toLowerCase()),
      };
      const answer = await send({ method: 'PUT', key, headers, body, signal });
      if (answer?.status === 200) return { etag: bareEtag(answer.headers.etag) ?? '' };
      if (answer?.status === 412) return ifAbsent ? 'exists' : 'conflict';
      return sdk.put(key, body, options);
    },
    async delete(key, options = {}) {
      const { ifMatch } = options;
      const answer = await send({ method: 'DELETE', key, headers: ifMatch ? { 'if-match': quoted(ifMatch) } : {} });
      if (answer !== undefined && answer.status < 300) return true;
      if (answer?.status === 412) return false;
      return sdk.delete(key, options);
    },
  };
}

/** What the headers of an answer say of its object. */
function said({ headers }: ObjectAnswer): S3Head {
  const modified = headers['last-modified'];
  const own = Object.entries(headers).filter(([name]) => name.startsWith(METADATA));
  return {
    ETag: headers.etag,
    ContentLength: Number(headers['content-length'] ?? 0),
    ContentType: headers['content-type'],
    Metadata: Object.fromEntries(own.map(([name, value]) => [name.slice(METADATA.length), value])),
    LastModified: modified === undefined ? undefined : new Date(modified),
    VersionId: headers['x-amz-version-id'],
    StorageClass: headers['x-amz-storage-class'],
  };
}

const renamed = (fields: Readonly<Record<string, string | undefined>>, to: (name: string) => string) =>
  Object.fromEntries(
    Object.entries(fields).flatMap(([name, value]) => (value === undefined ? [] : [[to(name), value]])),
  );
