import { HeadObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { ElfinError, isElfinError } from '@elfin/core';
import { s3Error } from './errors.ts';
import type { S3Place } from './place.ts';

/** A request as the SDK's middleware hands it on. */
interface Prepared {
  readonly protocol: string;
  readonly hostname: string;
  readonly port?: number;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
}

const KEY = 'elfin';

/**
 * Where a client's requests for a bucket go, and what their signatures name. The client itself is asked, by its public
 * interface: it prepares one request as it would send it (endpoint rules, access points, dual stack, acceleration), which is
 * then looked at instead of sent.
 *
 * @throws CONFIG_INVALID for buckets that need more than a plain signature: directory buckets and multi-region access
 *   points; CREDENTIALS_EXPIRED and whatever else keeps the client from signing.
 */
export async function placeOf(client: S3Client, bucket: string): Promise<S3Place> {
  const { protocol, hostname, port, path, headers } = await prepare(client, bucket);
  const authorization = headers.authorization ?? headers.Authorization ?? '';
  const scope = /^AWS4-HMAC-SHA256 Credential=[^/]+\/\d+\/([^/]+)\/([^/]+)\/aws4_request/.exec(authorization);
  if (!scope || 'x-amz-s3session-token' in headers) throw unsigned(bucket);
  const [, region = '', service = ''] = scope;
  const host = port === undefined ? hostname : `${hostname}:${port}`;
  return {
    root: `${protocol}//${host}${path.slice(0, path.length - KEY.length)}`,
    region,
    service,
    // The client's own provider: it renews what is about to expire.
    credentials: () => client.config.credentials(),
    clockOffset: client.config.systemClockOffset,
  };
}

async function prepare(client: S3Client, bucket: string): Promise<Prepared> {
  let prepared: Prepared | undefined;
  const command = new HeadObjectCommand({ Bucket: bucket, Key: KEY });
  command.middlewareStack.add(
    () => async (args) => {
      prepared = args.request as Prepared;
      return { response: {}, output: { $metadata: {} } };
    },
    // Behind the signature, and before anything is sent.
    { step: 'finalizeRequest', name: 'elfinPlace', priority: 'low' },
  );
  try {
    await client.send(command);
  } catch (error) {
    if (isElfinError(error)) throw error;
    throw s3Error(error, { verb: 'find', bucket, key: '' });
  }
  if (prepared === undefined) throw unsigned(bucket);
  return prepared;
}

const unsigned = (bucket: string) =>
  new ElfinError(
    'CONFIG_INVALID',
    `Bucket "${bucket}" takes more than a plain signature (a directory bucket, or a multi-region access point); name a general purpose bucket.`,
    { data: { bucket } },
  );
