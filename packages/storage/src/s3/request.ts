import { ElfinError, isElfinError, joinBytes, sha256 } from '@elfin/core';
import { AwsV4Signer } from 'aws4fetch';
import { type Doing, meaningOf, refusal, s3Error } from './errors.ts';
import type { S3Place } from './place.ts';
import {
  type ByteReader,
  exchange,
  type HttpAnswer,
  S3_TIMEOUTS,
  type S3Timeouts,
  type Send,
  sendByFetch,
} from './transport.ts';
import { element } from './xml.ts';

export interface RequesterOptions {
  readonly bucket: string;
  readonly place: () => Promise<S3Place>;
  readonly timeouts?: Partial<S3Timeouts> | undefined;
  /** Tries in all of a request that may pass the next time. Default 3. */
  readonly attempts?: number | undefined;
  /** What carries the requests. Default: the runtime's own `fetch`. */
  readonly send?: Send | undefined;
}

/** One request on one object, or on the bucket where `key` is empty. */
export interface S3Request {
  readonly method: 'HEAD' | 'GET' | 'PUT' | 'DELETE';
  readonly key: string;
  /** What is being done, for the message of an error: `read`, `write`. */
  readonly verb: string;
  /** What to name in the message instead of the key. */
  readonly what?: string | undefined;
  readonly query?: Readonly<Record<string, string | undefined>> | undefined;
  /** Lower-case names. */
  readonly headers?: Readonly<Record<string, string | undefined>> | undefined;
  readonly body?: Uint8Array | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Statuses beside 2xx that are an answer and no failure. */
  readonly expects: readonly number[];
}

export interface S3Answer extends HttpAnswer {
  /** S3's word of an answer that is not 2xx: `PreconditionFailed`; empty where it says none, as after a HEAD. */
  readonly word: string;
  /** Its sentence for people; empty likewise. */
  readonly message: string;
}

const MAX_ERROR_BYTES = 65_536;
const BASE_MS = 100;
/** From this difference on a 403 is put down to the clock; Amazon allows 15 minutes. */
const SKEW_MS = 5 * 60_000;

/**
 * Signs, sends, and tries again what may pass: the one way to a bucket. Answers that `expects` does not name are errors out
 * of the table in `errors.ts`.
 */
export function createRequester(options: RequesterOptions): (request: S3Request) => Promise<S3Answer> {
  const { bucket, attempts = 3, send = sendByFetch() } = options;
  const timeouts = { ...S3_TIMEOUTS, ...options.timeouts };
  const keys = new Map<string, ArrayBuffer>();
  let found: Promise<S3Place> | undefined;
  let ahead: number | undefined;

  function locate(): Promise<S3Place> {
    found ??= options.place();
    // Found nothing for a reason that may pass: the next request looks again.
    found.catch(() => {
      found = undefined;
    });
    return found;
  }

  async function sign(request: S3Request, place: S3Place) {
    const { credentials: given } = place;
    const { accessKeyId, secretAccessKey, sessionToken } = typeof given === 'function' ? await given() : given;
    const offset = ahead ?? place.clockOffset ?? 0;
    const signer = new AwsV4Signer({
      method: request.method,
      url: urlOf(place.root, request),
      headers: presentIn({
        ...request.headers,
        'x-amz-content-sha256': request.body ? await sha256(request.body) : EMPTY_SHA256,
      }),
      accessKeyId,
      secretAccessKey,
      ...(sessionToken && { sessionToken }),
      service: place.service,
      region: place.region,
      cache: keys,
      datetime: new Date(Date.now() + offset).toISOString().replace(/[:-]|\.\d{3}/g, ''),
    });
    return signer.sign();
  }

  /** Whether a refusal is the clock's fault, which is then set by the server's. */
  function setClock(answer: S3Answer): boolean {
    const theirs = Date.parse(answer.headers.get('date') ?? '');
    const told = answer.word === 'RequestTimeTooSkewed' || (answer.word === '' && answer.status === 403);
    if (!told || Number.isNaN(theirs)) return false;
    const difference = theirs - Date.now();
    if (Math.abs(difference - (ahead ?? 0)) < SKEW_MS) return false;
    ahead = difference;
    return true;
  }

  async function attempt(request: S3Request): Promise<S3Answer> {
    const { url, headers, method } = await sign(request, await locate());
    const { body, signal } = request;
    const answer = await exchange({ method, url, headers, body, signal }, send, timeouts);
    const fine = answer.status >= 200 && answer.status < 300;
    if (fine && method === 'GET') return { ...answer, word: '', message: '' };
    // Read to its end, so that the connection is free for the next request.
    const xml = await textOf(answer.body, MAX_ERROR_BYTES);
    return { ...answer, word: element(xml, 'Code') ?? '', message: element(xml, 'Message') ?? '' };
  }

  return async (request) => {
    const doing: Doing = { verb: request.verb, bucket, key: request.what ?? request.key };
    assertPlainKey(request.key, doing);
    for (let turn = 1; ; turn++) {
      const last = turn >= attempts;
      let wait = Math.random() * BASE_MS * 2 ** turn;
      try {
        const answer = await attempt(request);
        if (answer.status < 300 || request.expects.includes(answer.status)) return answer;
        if (setClock(answer) && !last) continue;
        const { word, message, status } = answer;
        if (last || !passes(word, status)) throw refusal(word, message, status, doing);
        wait = Math.max(wait, Math.min(5000, 1000 * Number(answer.headers.get('retry-after') ?? 0) || 0));
      } catch (error) {
        const silent = isElfinError(error) && error.code === 'STORE_FAILED' && error.data.bucket === undefined;
        if (last || !silent) throw s3Error(error, doing);
      }
      await pause(wait, request.signal);
    }
  };
}

const EMPTY_SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

const passes = (word: string, status: number) => {
  const { remedy } = meaningOf(word, status);
  return remedy === 'retry' && status !== 409;
};

/** A body as text, read to its end; what is longer than `limit` is let go. */
export async function textOf(body: ByteReader, limit: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for (let chunk = await body.read(); chunk !== undefined; chunk = await body.read()) {
    length += chunk.byteLength;
    if (length > limit) {
      await body.cancel();
      return '';
    }
    chunks.push(chunk);
  }
  return new TextDecoder().decode(joinBytes(chunks, length));
}

/** Every segment percent-encoded but for the characters that RFC 3986 leaves alone, as the signature has it. */
const encodeSegment = (segment: string) =>
  encodeURIComponent(segment).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

/** A key as it stands in a URL's path. */
export const encodeKey = (key: string) => key.split('/').map(encodeSegment).join('/');

function urlOf(root: string, { key, query = {} }: S3Request): string {
  const parts = Object.entries(query).flatMap(([name, value]) =>
    value === undefined ? [] : [value === '' ? name : `${name}=${encodeSegment(value)}`],
  );
  return `${root}${encodeKey(key)}${parts.length > 0 ? `?${parts.join('&')}` : ''}`;
}

/** URLs resolve `.` and `..` whatever their encoding, and would lead to another object. */
function assertPlainKey(key: string, { verb, bucket }: Doing): void {
  if (!key.split('/').some((segment) => segment === '.' || segment === '..')) return;
  const message = `Could not ${verb} "${key}" in bucket ${bucket}: no URL can name a segment "." or ".."; rename the object.`;
  throw new ElfinError('KEY_UNSAFE', message, { data: { bucket, key } });
}

const presentIn = (headers: Readonly<Record<string, string | undefined>>): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));

/** Waits, but not past an abort; the next try then says so. */
function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    if (signal?.aborted) done();
    else signal?.addEventListener('abort', done, { once: true });
  });
}
