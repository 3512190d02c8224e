import { ElfinError } from '@elfin/core';
import type { ObjectBody, ObjectHead, ObjectStore } from '@elfin/storage';
import { AwsClient } from 'aws4fetch';
import { decodeValue, readAll } from './bytes.ts';

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export interface S3StoreOptions {
  readonly bucket: string;
  /** Put in front of every key, for example `elfin/`. */
  readonly prefix?: string;
  /** For example `https://s3.eu-central-1.amazonaws.com` or an own MinIO; path-style addressing. */
  readonly endpoint: string;
  readonly region?: string;
  readonly credentials: S3Credentials | (() => Promise<S3Credentials>);
  /** Milliseconds of one call. Default 15 s. */
  readonly timeout?: number;
  readonly fetch?: (request: Request) => Promise<Response>;
}

const META = 'x-amz-meta-';

/** An S3 ETag as the store type has it: bare. */
const bare = (etag: string | null) => (etag ?? '').replace(/^W\//, '').replaceAll('"', '');

function toHead(headers: Headers): ObjectHead {
  const metadata: Record<string, string> = {};
  for (const [name, value] of headers) {
    if (name.startsWith(META)) metadata[name.slice(META.length)] = decodeValue(value);
  }
  const range = headers.get('content-range')?.split('/')[1];
  const versionId = headers.get('x-amz-version-id');
  const modified = Date.parse(headers.get('last-modified') ?? '');
  return {
    etag: bare(headers.get('etag')),
    size: Number(range ?? headers.get('content-length') ?? 0),
    metadata,
    ...(headers.has('content-type') ? { type: headers.get('content-type') as string } : {}),
    ...(Number.isNaN(modified) ? {} : { modified }),
    ...(versionId && versionId !== 'null' ? { versionId } : {}),
  };
}

const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
const decodeEntities = (text: string) =>
  text.replace(/&(amp|lt|gt|quot|apos);/g, (_, name: string) => ENTITIES[name] ?? '');

/** One element's text in a listing. The listing is flat and machine-made; nothing else of XML occurs in it. */
function element(xml: string, name: string): string | undefined {
  const text = new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1];
  return text === undefined ? undefined : decodeEntities(text);
}

/**
 * Keeps objects in an S3 bucket through fetch, in any JavaScript runtime. Conditions are S3's own `If-None-Match: *` and
 * `If-Match`: 412 means that the condition does not hold, 409 that another write was under way, and is tried again.
 * Errors: STORE_FAILED, INPUT_UNREADABLE (denied), CREDENTIALS_EXPIRED.
 */
export function createS3Store(options: S3StoreOptions): ObjectStore {
  const { bucket, prefix = '', region = 'us-east-1', timeout = 15_000 } = options;
  const endpoint = options.endpoint.replace(/\/$/, '');
  const send = options.fetch ?? ((request) => fetch(request));
  const encode = (key: string) => (prefix + key).split('/').map(encodeURIComponent).join('/');

  async function call(
    method: string,
    path: string,
    init: { headers?: Record<string, string>; body?: Uint8Array; signal?: AbortSignal | undefined } = {},
  ) {
    const credentials = typeof options.credentials === 'function' ? await options.credentials() : options.credentials;
    const client = new AwsClient({ ...credentials, service: 's3', region, retries: 0 });
    const limit = AbortSignal.timeout(timeout);
    const signal = init.signal ? AbortSignal.any([init.signal, limit]) : limit;
    try {
      const request = await client.sign(`${endpoint}/${bucket}${path}`, {
        method,
        signal,
        ...(init.headers ? { headers: init.headers } : {}),
        ...(init.body ? { body: init.body as Uint8Array<ArrayBuffer> } : {}),
      });
      return await send(request);
    } catch (cause) {
      if (init.signal?.aborted) throw new ElfinError('ABORTED', 'The store call was stopped by its caller.', { cause });
      throw new ElfinError('STORE_FAILED', `The bucket "${bucket}" did not answer.`, { cause });
    }
  }

  async function fail(response: Response): Promise<never> {
    const code = element(await response.text().catch(() => ''), 'Code') ?? '';
    if (code === 'ExpiredToken' || code === 'RequestExpired') {
      throw new ElfinError('CREDENTIALS_EXPIRED', `The credentials for the bucket "${bucket}" have run out.`);
    }
    if (response.status === 403)
      throw new ElfinError('INPUT_UNREADABLE', `The bucket "${bucket}" denies access (${code}).`);
    throw new ElfinError('STORE_FAILED', `The bucket "${bucket}" answered ${response.status} ${code}.`);
  }

  async function discard(response: Response): Promise<void> {
    await response.body?.cancel();
  }

  return {
    async head(key, { versionId, signal } = {}) {
      const query = versionId ? `?versionId=${encodeURIComponent(versionId)}` : '';
      const response = await call('HEAD', `/${encode(key)}${query}`, { signal });
      await discard(response);
      if (response.status === 404) return undefined;
      return response.ok ? toHead(response.headers) : fail(response);
    },

    async get(key, { ifMatch, versionId, range, signal } = {}): Promise<ObjectBody | 'changed' | undefined> {
      const query = versionId ? `?versionId=${encodeURIComponent(versionId)}` : '';
      const headers = {
        ...(ifMatch === undefined ? {} : { 'if-match': `"${ifMatch}"` }),
        ...(range ? { range: `bytes=${range.start}-${range.end ?? ''}` } : {}),
      };
      const response = await call('GET', `/${encode(key)}${query}`, { headers, signal });
      if (response.status === 412 || response.status === 404) {
        await discard(response);
        return response.status === 412 ? 'changed' : undefined;
      }
      if (!response.ok || !response.body) return fail(response);
      return { ...toHead(response.headers), body: response.body };
    },

    async put(key, body, { ifAbsent, ifMatch, type, metadata = {}, signal } = {}) {
      const bytes = await readAll(body, signal);
      const headers: Record<string, string> = {
        'content-type': type ?? 'application/octet-stream',
        ...(ifAbsent ? { 'if-none-match': '*' } : {}),
        ...(ifMatch === undefined ? {} : { 'if-match': `"${ifMatch}"` }),
      };
      for (const [name, value] of Object.entries(metadata)) headers[META + name] = encodeURIComponent(value);
      for (let attempt = 0; attempt < 3; attempt++) {
        const response = await call('PUT', `/${encode(key)}`, { headers, body: bytes, signal });
        if (response.ok) {
          await discard(response);
          return { etag: bare(response.headers.get('etag')) };
        }
        if (response.status === 412 || (response.status === 404 && ifMatch !== undefined)) {
          await discard(response);
          return ifAbsent ? 'exists' : 'conflict';
        }
        if (response.status !== 409) return fail(response);
        await discard(response);
      }
      return 'conflict';
    },

    async delete(key, { ifMatch } = {}) {
      const condition = ifMatch === undefined ? {} : { 'if-match': `"${ifMatch}"` };
      let response = await call('DELETE', `/${encode(key)}`, { headers: condition });
      if (response.status === 501 && ifMatch !== undefined) {
        // Older stores have no conditional delete; looking first leaves a gap that only such stores have.
        const head = await call('HEAD', `/${encode(key)}`);
        if (head.ok && bare(head.headers.get('etag')) !== ifMatch) return false;
        response = await call('DELETE', `/${encode(key)}`);
      }
      await discard(response);
      if (response.status === 412) return false;
      return response.ok || response.status === 404 ? true : fail(response);
    },

    async list(under, cursor) {
      const query = new URLSearchParams({ 'list-type': '2', prefix: prefix + under });
      if (cursor) query.set('continuation-token', cursor);
      const response = await call('GET', `/?${query}`);
      if (!response.ok) return fail(response);
      const xml = await response.text();
      const objects = [...xml.matchAll(/<Contents>(.*?)<\/Contents>/gs)].map(([, entry = '']) => ({
        key: (element(entry, 'Key') ?? '').slice(prefix.length),
        etag: bare(element(entry, 'ETag') ?? ''),
        size: Number(element(entry, 'Size') ?? 0),
        modified: Date.parse(element(entry, 'LastModified') ?? ''),
        metadata: {},
      }));
      const next = element(xml, 'NextContinuationToken');
      return { objects, ...(next ? { cursor: next } : {}) };
    },
  };
}

/** A URL that reads one object for `seconds`, for whoever has it. */
export async function presignS3(
  options: Pick<S3StoreOptions, 'bucket' | 'prefix' | 'endpoint' | 'region' | 'credentials'>,
  key: string,
  seconds: number,
): Promise<string> {
  const { bucket, prefix = '', region = 'us-east-1', credentials } = options;
  const client = new AwsClient({
    ...(typeof credentials === 'function' ? await credentials() : credentials),
    service: 's3',
    region,
  });
  const path = (prefix + key).split('/').map(encodeURIComponent).join('/');
  const url = `${options.endpoint.replace(/\/$/, '')}/${bucket}/${path}?X-Amz-Expires=${seconds}`;
  return (await client.sign(url, { aws: { signQuery: true } })).url;
}
