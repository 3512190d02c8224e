import type { S3Client } from '@aws-sdk/client-s3';
import type { ObjectStore } from '../object-store.ts';
import { placeOf } from '../s3/client-place.ts';
import { createNodeSend } from '../s3/node-send.ts';
import { createS3StoreAt, type S3StoreSettings } from '../s3/store.ts';
import type { Send } from '../s3/transport.ts';

export interface ClientStoreOptions extends S3StoreSettings {
  /** Says where the bucket is and who asks: endpoint, region, credentials. Requests do not pass through its middleware. */
  readonly client: S3Client;
}

/**
 * A bucket by the configuration of an AWS client: any endpoint (Amazon's, MinIO's with `forcePathStyle: true`, versitygw's),
 * access points, every provider of credentials. Requests are those of `createS3Store`.
 * Errors: as there; CONFIG_INVALID for directory buckets and multi-region access points.
 *
 * @example
 * const photos = createClientStore({ client: new S3Client({}), bucket: 'photos' });
 */
export function createClientStore({ client, ...settings }: ClientStoreOptions): ObjectStore {
  send ??= createNodeSend();
  return createS3StoreAt(() => placeOf(client, settings.bucket), { send, ...settings });
}

// One pool of connections for all buckets.
let send: Send | undefined;
