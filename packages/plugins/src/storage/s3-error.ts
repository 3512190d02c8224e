import { ElfinError, type ElfinErrorCode, isElfinError } from '@elfin/core';

const EXPIRED = new Set([
  'ExpiredToken',
  'ExpiredTokenException',
  // MinIO's word for a session that has run out.
  'InvalidTokenId',
  'TokenRefreshRequired',
  'RequestExpired',
  'RequestTimeTooSkewed',
  'CredentialsProviderError',
]);
const DENIED = new Set([
  'AccessDenied',
  'AllAccessDisabled',
  'AccountProblem',
  'Forbidden',
  'InvalidAccessKeyId',
  'InvalidToken',
  'NoSuchBucket',
  'PermanentRedirect',
  'SignatureDoesNotMatch',
  'XAdminUserNotFound',
]);
const UNSAFE = new Set([
  'InvalidObjectName',
  'KeyTooLongError',
  'XMinioInvalidObjectName',
  'XMinioInvalidResourceName',
]);
// What a rule says of tags or storage class, and this store does not take.
const REFUSED = new Set(['InvalidTag', 'InvalidStorageClass']);
const OCCUPIED = new Set(['ExistingObjectIsDirectory', 'ObjectParentIsFile', 'XMinioParentIsObject']);

/** The typed error for whatever the AWS SDK threw; the original stays as its cause. */
export function s3Error(
  error: unknown,
  { verb, bucket, key }: { verb: string; bucket: string; key: string },
): ElfinError {
  if (isElfinError(error)) return error;
  const { name = 'Error', message = '', $metadata } = error as Error & { $metadata?: { httpStatusCode?: number } };
  const [code, advice] = classify(name, $metadata?.httpStatusCode);
  const words = message === '' || message === 'UnknownError' ? name : `${name}: ${message.split('\n')[0]}`;
  return new ElfinError(code, `Could not ${verb} "${key}" in bucket ${bucket} (${words}); ${advice}.`, {
    cause: error,
    data: { bucket, key, status: $metadata?.httpStatusCode },
  });
}

function classify(name: string, status: number | undefined): readonly [ElfinErrorCode, string] {
  if (name === 'AbortError') return ['ABORTED', 'the caller gave up'];
  if (EXPIRED.has(name)) return ['CREDENTIALS_EXPIRED', 'renew the credentials'];
  if (DENIED.has(name) || status === 401 || status === 403) {
    return ['INPUT_UNREADABLE', 'check that the bucket exists and that the credentials may use it'];
  }
  if (UNSAFE.has(name)) return ['KEY_UNSAFE', 'rename the object'];
  if (REFUSED.has(name)) return ['CONFIG_INVALID', "mend the rule's tags, storageClass or keep"];
  if (OCCUPIED.has(name)) return ['OUTPUT_UNWRITABLE', 'choose a destination that is not both an object and a folder'];
  return ['STORE_FAILED', 'try again'];
}
