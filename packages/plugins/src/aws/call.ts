import { ElfinError } from '@elfin/core';
import type { S3Credentials } from '@elfin/storage';
import { AwsV4Signer } from 'aws4fetch';

export interface AwsCallOptions {
  /** For example `https://sqs.eu-central-1.amazonaws.com`. */
  readonly endpoint: string;
  readonly region: string;
  readonly service: 'sqs' | 'sns' | 'events';
  readonly credentials: S3Credentials | (() => Promise<S3Credentials>);
  /** Milliseconds for one call. Default 15,000; `SQS.ReceiveMessage` adds what it waits. */
  readonly timeoutMs?: number | undefined;
}

export interface AwsCall {
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number | undefined;
}

/** Words of AWS's services for what may pass. */
const PASSING =
  /Throttl|TooManyRequests|RequestLimit|ServiceUnavailable|InternalFailure|InternalError|OverLimit|Timeout/;

/**
 * Signed calls to a service of AWS that need no SDK: one POST, with a time limit.
 * Errors: NETWORK_FAILED for what may pass, CREDENTIALS_EXPIRED, CONFIG_INVALID for what the service refuses, ABORTED.
 */
export function createAwsCaller(options: AwsCallOptions): (call: AwsCall) => Promise<string> {
  const { endpoint, region, service, credentials, timeoutMs = 15_000 } = options;
  const cache = new Map<string, ArrayBuffer>();
  return async ({ body, headers, signal, ...call }) => {
    const { sessionToken, ...keys } = typeof credentials === 'function' ? await credentials() : credentials;
    const request = { method: 'POST', url: endpoint, body, headers, service, region, cache };
    const signer = new AwsV4Signer({ ...request, ...keys, ...(sessionToken && { sessionToken }) });
    const signed = await signer.sign();
    const limit = AbortSignal.timeout(call.timeoutMs ?? timeoutMs);
    const bounds = signal ? AbortSignal.any([signal, limit]) : limit;
    try {
      const answer = await fetch(signed.url, { method: 'POST', headers: signed.headers, body, signal: bounds });
      const text = await answer.text();
      if (answer.ok) return text;
      throw refusal(service, endpoint, answer.status, text);
    } catch (cause) {
      if (cause instanceof ElfinError) throw cause;
      if (signal?.aborted) throw new ElfinError('ABORTED', 'The call was stopped by its caller.', { cause });
      const { message, cause: inner } = cause as Error & { cause?: Error };
      const words = inner?.message || message;
      throw new ElfinError('NETWORK_FAILED', `${endpoint} did not answer (${words}); try again.`, { cause });
    }
  };
}

function refusal(service: string, endpoint: string, status: number, text: string): ElfinError {
  const word = /"__type":\s*"(?:[^"#]*#)?([^"]+)"|<Code>([^<]+)<\/Code>/.exec(text)?.slice(1).find(Boolean) ?? '';
  const told = /"message":\s*"([^"]*)"|<Message>([^<]*)<\/Message>/i.exec(text)?.slice(1).find(Boolean) ?? '';
  const message = `${endpoint} refused a call of ${service} (${[word || status, told].filter(Boolean).join(': ')})`;
  const data = { status, reason: word };
  if (/Expired/.test(word))
    return new ElfinError('CREDENTIALS_EXPIRED', `${message}; renew the credentials.`, { data });
  if (status === 429 || status >= 500 || PASSING.test(word)) {
    return new ElfinError('NETWORK_FAILED', `${message}; try again.`, { data });
  }
  return new ElfinError('CONFIG_INVALID', `${message}; check its name and rights.`, { data });
}
