import { ElfinError, type ElfinErrorCode, isElfinError } from '@elfin/core';

/** What an error of a store means for the work that met it. */
export type Remedy =
  /** It may pass by itself: the work is tried again. */
  | 'retry'
  /** Somebody has to change something, then the same work succeeds: it waits. */
  | 'person'
  /** It will never succeed. */
  | 'final';

interface Meaning {
  readonly remedy: Remedy;
  readonly code: ElfinErrorCode;
  readonly advice: string;
}

const retry: Meaning = { remedy: 'retry', code: 'STORE_FAILED', advice: 'try again' };
const slower: Meaning = {
  remedy: 'retry',
  code: 'STORE_FAILED',
  advice: 'the store asks for fewer requests; try again',
};
const full: Meaning = { remedy: 'retry', code: 'STORE_FAILED', advice: 'the store is full; free space there' };
const credentials: Meaning = { remedy: 'person', code: 'CREDENTIALS_EXPIRED', advice: 'renew the credentials' };
const denied: Meaning = {
  remedy: 'person',
  code: 'INPUT_UNREADABLE',
  advice: 'check that the bucket exists and that the credentials may use it',
};
const key: Meaning = { ...denied, advice: 'enable the KMS key, and let these credentials use it' };
const region: Meaning = { ...denied, advice: 'the bucket is in another region; name that one' };
const archived: Meaning = {
  remedy: 'person',
  code: 'OBJECT_ARCHIVED',
  advice: 'it lies in an archive; restore it there, and its ObjectRestore:Completed event will be taken up',
};
const settings: Meaning = {
  remedy: 'person',
  code: 'CONFIG_INVALID',
  advice: "mend the rule's tags, storageClass or keep, or the store's settings",
};
const occupied: Meaning = {
  remedy: 'person',
  code: 'OUTPUT_EXISTS',
  advice: 'choose a destination that is not both an object and a folder',
};
const unsafe: Meaning = { remedy: 'final', code: 'KEY_UNSAFE', advice: 'rename the object' };
const tooLarge: Meaning = {
  remedy: 'final',
  code: 'IMAGE_TOO_MANY_BYTES',
  advice: 'the result is larger than the store takes',
};
const aborted: Meaning = { remedy: 'retry', code: 'ABORTED', advice: 'the caller gave up' };

const spread = (meaning: Meaning, words: string): [string, Meaning][] =>
  words
    .trim()
    .split(/\s+/)
    .map((word) => [word, meaning]);

/**
 * Every error that Amazon documents for the calls that are made (head, get, put, delete, list, tags), with the words of KMS,
 * of the credentials' providers, MinIO and versitygw. A word that is not here goes by its status.
 */
const MEANINGS: ReadonlyMap<string, Meaning> = new Map([
  ...spread(
    retry,
    `InternalError InternalServerError InternalFailure ServiceUnavailable ServiceUnavailableException RequestTimeout
     RequestTimeoutException IncompleteBody OperationAborted ConditionalRequestConflict ClientTokenConflict ResponseInterrupted
     ConnectionClosedByRequester BadDigest InvalidDigest XAmzContentSHA256Mismatch XAmzContentChecksumMismatch
     ContentSHA256Mismatch RequestTimeTooSkewed TemporaryRedirect Redirect BucketNotEmpty NoSuchUpload
     KMS.InternalException KMS.KMSInternalException KMS.DependencyTimeoutException DependencyTimeoutException
     XMinioServerNotInitialized XMinioReadQuorum XMinioWriteQuorum XMinioBackendDown XMinioServerTimedOut
     TimeoutError NetworkingError ECONNRESET EPIPE`,
  ),
  ...spread(
    slower,
    `SlowDown SlowDownRead SlowDownWrite Throttling ThrottlingException ThrottledException TooManyRequests
     TooManyRequestsException RequestLimitExceeded BandwidthLimitExceeded RequestThrottled RequestThrottledException
     ProvisionedThroughputExceededException PriorRequestNotComplete KMS.ThrottlingException XMinioRequestsLimit`,
  ),
  ...spread(
    full,
    'XMinioStorageFull XMinioDiskFull InsufficientStorage QuotaExceeded XMinioAdminBucketQuotaExceeded ENOSPC EDQUOT',
  ),
  ...spread(
    credentials,
    `ExpiredToken ExpiredTokenException InvalidTokenId TokenRefreshRequired RequestExpired CredentialsProviderError
     TokenProviderError InvalidSessionException`,
  ),
  ...spread(
    denied,
    `AccessDenied AccessDeniedException AllAccessDisabled AccountProblem NotSignedUp Forbidden UnauthorizedAccess
     UnauthorizedAccessError UnexpectedIPError InvalidAccessKeyId InvalidToken InvalidSecurity InvalidPayer MissingSecurityHeader
     MissingAuthenticationToken SignatureDoesNotMatch InvalidSignature UnsupportedSignature CredentialsNotSupported
     AuthorizationQueryParametersError NoSuchBucket NoSuchAccessPoint InvalidAccessPoint InvalidBucketState
     InvalidBucketOwnerAWSAccountID XAdminUserNotFound AccessControlListNotSupported MethodNotAllowed
     XMinioInvalidIAMCredentials`,
  ),
  ...spread(
    key,
    `KMS.DisabledException KMS.NotFoundException KMS.KMSInvalidStateException KMS.InvalidKeyUsageException
     KMS.AccessDeniedException KMS.KeyUnavailableException InvalidEncryptionAlgorithmError EncryptionTypeMismatch
     ServerSideEncryptionConfigurationNotFoundError`,
  ),
  ...spread(
    region,
    `PermanentRedirect AuthorizationHeaderMalformed InvalidRegion IllegalLocationConstraintException
     IncorrectEndpoint EndpointNotFound InvalidHostHeader InvalidAddressingHeader`,
  ),
  ...spread(archived, 'InvalidObjectState RestoreAlreadyInProgress'),
  ...spread(
    settings,
    `InvalidTag TagPolicyException InvalidStorageClass InvalidArgument InvalidRequest UnsupportedArgument MalformedACLError
     InvalidBucketName MalformedXML MetadataTooLarge RequestHeaderSectionTooLarge NotImplemented InvalidRange
     MissingContentLength MissingRequestBodyError UnexpectedContent InvalidHttpMethod InvalidTargetBucketForLogging`,
  ),
  ...spread(
    occupied,
    'ExistingObjectIsDirectory ObjectParentIsFile XMinioParentIsObject XMinioObjectExistsAsDirectory',
  ),
  ...spread(
    unsafe,
    'InvalidObjectName KeyTooLongError KeyTooLong InvalidURI XMinioInvalidObjectName XMinioInvalidResourceName UserKeyMustBeSpecified',
  ),
  ...spread(tooLarge, 'EntityTooLarge MaxMessageLengthExceeded'),
  ...spread(aborted, 'AbortError'),
]);

/** The table as it is documented and tested: each known word with its remedy. */
export const S3_ERRORS: ReadonlyMap<string, { readonly remedy: Remedy; readonly code: ElfinErrorCode }> = MEANINGS;

/** What a refusal means: by its word, else by its status, else that it may pass. */
export function meaningOf(word: string, status: number | undefined): Meaning {
  const known = MEANINGS.get(word);
  if (known) return known;
  if (status === 401 || status === 403) return denied;
  if (status === 429 || status === 503) return slower;
  if (status === 507) return full;
  if (status === 301 || status === 307) return region;
  if (status === 405) return denied;
  return retry;
}

/** Where something went wrong, for the message. */
export interface Doing {
  readonly verb: string;
  readonly bucket: string;
  readonly key: string;
}

/** The typed error for a refusal: S3's word for it, its message and the status. */
export function refusal(word: string, message: string, status: number | undefined, doing: Doing): ElfinError {
  const { code, advice, remedy } = meaningOf(word, status);
  const { verb, bucket, key } = doing;
  const name = word || `status ${status}`;
  const words = message === '' || message === name ? name : `${name}: ${message.split('\n')[0]!.slice(0, 200)}`;
  return new ElfinError(code, `Could not ${verb} "${key}" in bucket ${bucket} (${words}); ${advice}.`, {
    data: { bucket, key, status, reason: word, remedy },
  });
}

/** The typed error for whatever was thrown on the way: by the connection, or by a provider of credentials. */
export function s3Error(error: unknown, doing: Doing): ElfinError {
  const { verb, bucket, key } = doing;
  if (isElfinError(error)) {
    if (error.code !== 'STORE_FAILED' || error.data.bucket !== undefined) return error;
    const message = `Could not ${verb} "${key}" in bucket ${bucket}: ${error.message.replace(/\.$/, '')}; try again.`;
    return new ElfinError('STORE_FAILED', message, { cause: error, data: { bucket, key, remedy: 'retry' } });
  }
  const { name, message, $metadata } = error as Error & { $metadata?: { httpStatusCode?: number } };
  const { code, data, message: text } = refusal(name, message, $metadata?.httpStatusCode, doing);
  return new ElfinError(code, text, { cause: error, data });
}
