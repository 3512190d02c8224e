import type { ObjectHead } from '../object-store.ts';
import { decodeWords, encodeWords } from './encoded-words.ts';

const METADATA = 'x-amz-meta-';

/** What may go with every write of a store. */
export interface S3WriteDefaults {
  /** `AES256`, `aws:kms` or `aws:kms:dsse`. */
  readonly serverSideEncryption?: string | undefined;
  /** With `aws:kms`; a name without an ARN is of the bucket's account. */
  readonly kmsKeyId?: string | undefined;
  readonly cacheControl?: string | undefined;
  readonly acl?: string | undefined;
}

/** An ETag as the store type has it: bare. */
export const bareEtag = (etag: string | null | undefined) => (etag ?? '').replace(/^W\//, '').replaceAll('"', '');
export const quoted = (etag: string) => `"${etag}"`;

/** What the headers of an answer say of its object. */
export function headOf(headers: Headers): ObjectHead {
  const metadata: Record<string, string> = {};
  for (const [name, value] of headers) {
    if (name.startsWith(METADATA)) metadata[name.slice(METADATA.length)] = decodeWords(value);
  }
  const whole = headers.get('content-range')?.split('/')[1];
  const modified = Date.parse(headers.get('last-modified') ?? '');
  const versionId = headers.get('x-amz-version-id');
  const storageClass = headers.get('x-amz-storage-class');
  return {
    etag: bareEtag(headers.get('etag')),
    size: Number(whole ?? headers.get('content-length') ?? 0),
    metadata,
    type: headers.get('content-type') ?? undefined,
    modified: Number.isNaN(modified) ? undefined : modified,
    versionId: versionId === null || versionId === 'null' ? undefined : versionId,
    storageClass: storageClass === null || storageClass === 'STANDARD' ? undefined : storageClass,
  };
}

/** The headers of what is written, those left out that say nothing. */
export function writeHeaders(
  write: S3WriteDefaults,
  object: {
    readonly type?: string | undefined;
    readonly metadata?: Readonly<Record<string, string>> | undefined;
    readonly tags?: Readonly<Record<string, string>> | undefined;
    readonly storageClass?: string | undefined;
  },
): Record<string, string | undefined> {
  const { type = 'application/octet-stream', metadata = {}, tags = {}, storageClass } = object;
  const tagging = new URLSearchParams(Object.entries(tags)).toString().replaceAll('+', '%20');
  return {
    'content-type': type,
    'cache-control': write.cacheControl,
    'x-amz-acl': write.acl,
    'x-amz-server-side-encryption': write.serverSideEncryption,
    'x-amz-server-side-encryption-aws-kms-key-id': write.kmsKeyId,
    'x-amz-storage-class': storageClass,
    'x-amz-tagging': tagging || undefined,
    ...Object.fromEntries(
      Object.entries(metadata).map(([name, value]) => [METADATA + name.toLowerCase(), encodeWords(value)]),
    ),
  };
}
