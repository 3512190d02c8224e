import { AwsV4Signer } from 'aws4fetch';
import { readAll } from '../bytes.ts';
import type { ObjectBody, ObjectStore } from '../object-store.ts';
import { checkedBody } from './checksum.ts';
import { refusal } from './errors.ts';
import { bareEtag, headOf, quoted, type S3WriteDefaults, writeHeaders } from './head.ts';
import { placeAt, type S3Endpoint, type S3Place } from './place.ts';
import { createRequester, encodeKey, type RequesterOptions, type S3Answer, textOf } from './request.ts';
import { element, elements } from './xml.ts';

export interface S3StoreSettings extends Omit<RequesterOptions, 'place'> {
  /** Put in front of every key, for example `elfin/`. */
  readonly prefix?: string | undefined;
  /** Goes with every write. */
  readonly write?: S3WriteDefaults | undefined;
}

export interface S3StoreOptions extends S3StoreSettings, S3Endpoint {}

/**
 * An S3 bucket through fetch, in any JavaScript runtime: signed by aws4fetch, every request with time limits, what may pass
 * tried three times. Conditions are S3's own `If-None-Match: *` and `If-Match`: 412 means that the condition does not hold,
 * 409 that another write was under way. What comes is checked against its length and checksum.
 * Errors: STORE_FAILED, INPUT_UNREADABLE (denied), CREDENTIALS_EXPIRED, OBJECT_ARCHIVED, KEY_UNSAFE, OUTPUT_EXISTS, IMAGE_TOO_MANY_BYTES,
 * CONFIG_INVALID, ABORTED.
 *
 * @example
 * const credentials = { accessKeyId: 'id', secretAccessKey: 'secret' };
 * const store = createS3Store({ endpoint: 'http://127.0.0.1:9000', bucket: 'photos', credentials });
 */
export function createS3Store(options: S3StoreOptions): ObjectStore {
  return createS3StoreAt(async () => placeAt(options, options.bucket), options);
}

/** The same for a bucket whose place is found out at the first request. */
export function createS3StoreAt(place: () => Promise<S3Place>, settings: S3StoreSettings): ObjectStore {
  const { bucket, prefix = '', write = {} } = settings;
  const ask = createRequester({ ...settings, place });

  const store: ObjectStore = {
    async head(name, { versionId, signal } = {}) {
      const key = prefix + name;
      const request = { key, query: { versionId }, signal, verb: 'read' } as const;
      const answer = await ask({ ...request, method: 'HEAD', expects: [404, 400, 401, 403] });
      if (answer.status < 300) return headOf(answer.headers);
      if (answer.status === 404) return undefined;
      // A refused HEAD has no body that could say why: expired credentials look like none at all. A GET does.
      const found = await store.get(name, { versionId, signal, range: { start: 0, end: 0 } });
      if (found === undefined || found === 'changed') return undefined;
      await found.body.cancel();
      // It can be read after all: whatever refused the HEAD has passed.
      const { body: _, ...head } = found;
      return head;
    },

    async get(name, { ifMatch, versionId, range, signal } = {}): Promise<ObjectBody | 'changed' | undefined> {
      const key = prefix + name;
      const answer = await ask({
        method: 'GET',
        key,
        verb: 'read',
        query: { versionId },
        headers: {
          'if-match': ifMatch === undefined ? undefined : quoted(ifMatch),
          range: range && `bytes=${range.start}-${range.end ?? ''}`,
          'x-amz-checksum-mode': range ? undefined : 'ENABLED',
        },
        signal,
        expects: [404, 412, 416],
      });
      if (answer.status === 412) return 'changed';
      if (answer.status === 404) return absent(answer, 'read', key);
      const head = headOf(answer.headers);
      // A range of an object that has no bytes.
      const body = answer.status === 416 ? new Blob([]).stream() : checkedBody(answer, { bucket, key });
      return { ...head, body };
    },

    async put(name, input, options = {}) {
      const key = prefix + name;
      const { ifAbsent, ifMatch, signal } = options;
      const answer = await ask({
        method: 'PUT',
        key,
        verb: 'write',
        headers: {
          ...writeHeaders(write, options),
          'if-none-match': ifAbsent ? '*' : undefined,
          'if-match': ifMatch === undefined ? undefined : quoted(ifMatch),
        },
        body: await readAll(input, { signal }),
        signal,
        expects: [404, 409, 412],
      });
      if (answer.status < 300) return { etag: bareEtag(answer.headers.get('etag')) };
      if (answer.status === 412) return ifAbsent ? 'exists' : 'conflict';
      if (answer.status === 409 && answer.word === 'ConditionalRequestConflict') return 'conflict';
      // With If-Match, 404 says that there is nothing left to match.
      if (ifMatch !== undefined && isMissing(answer)) return 'conflict';
      throw refused(answer, 'write', key);
    },

    async delete(name, { ifMatch, signal } = {}) {
      const key = prefix + name;
      const request = { method: 'DELETE', key, verb: 'delete', signal } as const;
      // Amazon and versitygw honour If-Match here; MinIO does not know it and deletes.
      const headers = { 'if-match': ifMatch === undefined ? undefined : quoted(ifMatch) };
      const answer = await ask({ ...request, headers, expects: [404, 409, 412, 501] });
      if (answer.status < 300 || isMissing(answer)) return true;
      if (answer.status === 412 || answer.status === 409) return false;
      if (answer.status !== 501 || ifMatch === undefined) throw refused(answer, 'delete', key);
      // Older stores have no conditional delete; looking first leaves a gap that only such stores have.
      const present = await store.head(name, { signal });
      if (present && present.etag !== ifMatch) return false;
      await ask({ ...request, expects: [404] });
      return true;
    },

    async tags(name, { versionId, signal } = {}) {
      const key = prefix + name;
      const query = { tagging: '', versionId };
      const answer = await ask({ method: 'GET', key, verb: 'read the tags of', query, signal, expects: [404] });
      // versitygw's word for an object without tags.
      if (answer.status === 404)
        return answer.word === 'NoSuchTagSet' ? {} : (absent(answer, 'read the tags of', key) ?? {});
      const xml = await textOf(answer.body, MAX_LIST_BYTES);
      const pairs = elements(xml, 'Tag').map((tag) => [element(tag, 'Key') ?? '', element(tag, 'Value') ?? '']);
      return Object.fromEntries(pairs);
    },

    async list(under, cursor, { signal } = {}) {
      // By the last key and not by the server's token: that stays good in a cursor file, whoever goes on with it.
      const query = {
        'list-type': '2',
        'encoding-type': 'url',
        prefix: prefix + under || undefined,
        'start-after': cursor === undefined ? undefined : prefix + cursor,
      };
      const answer = await ask({
        method: 'GET',
        key: '',
        verb: 'list',
        what: prefix + under,
        query,
        signal,
        expects: [],
      });
      const xml = await textOf(answer.body, MAX_LIST_BYTES);
      const encoded = element(xml, 'EncodingType') === 'url';
      const objects = elements(xml, 'Contents').map((entry) => {
        const key = element(entry, 'Key') ?? '';
        const modified = Date.parse(element(entry, 'LastModified') ?? '');
        return {
          key: (encoded ? decodeURIComponent(key.replaceAll('+', ' ')) : key).slice(prefix.length),
          etag: bareEtag(element(entry, 'ETag')),
          size: Number(element(entry, 'Size') ?? 0),
          modified: Number.isNaN(modified) ? undefined : modified,
          storageClass: storageClassOf(element(entry, 'StorageClass')),
          metadata: {},
        };
      });
      return { objects, cursor: element(xml, 'IsTruncated') === 'true' ? objects.at(-1)?.key : undefined };
    },
  };
  return store;

  /** Undefined for an object that is not there; a bucket, or at versitygw an access key, that is not there is an error. */
  function absent(answer: S3Answer, verb: string, key: string): undefined {
    if (isMissing(answer)) return undefined;
    throw refused(answer, verb, key);
  }

  function refused({ word, message, status }: S3Answer, verb: string, key: string) {
    return refusal(word, message, status, { verb, bucket, key });
  }
}

/** A page has at most a thousand keys of 1,024 bytes, each of which may be percent-encoded. */
const MAX_LIST_BYTES = 16 * 1024 * 1024;

const MISSING = new Set(['', 'NoSuchKey', 'NotFound', 'NoSuchVersion']);
const isMissing = ({ status, word }: S3Answer) => status === 404 && MISSING.has(word);

const storageClassOf = (name: string | undefined) => (name === 'STANDARD' || name === '' ? undefined : name);

/** A URL that reads one object for `seconds`, for whoever has it. */
export async function presignS3(
  options: Pick<S3StoreOptions, 'bucket' | 'prefix' | 'endpoint' | 'region' | 'credentials'>,
  key: string,
  seconds: number,
): Promise<string> {
  const { credentials, root, region, service } = placeAt(options, options.bucket);
  const { sessionToken, ...given } = typeof credentials === 'function' ? await credentials() : credentials;
  const signer = new AwsV4Signer({
    ...given,
    ...(sessionToken && { sessionToken }),
    service,
    region,
    method: 'GET',
    url: `${root}${encodeKey((options.prefix ?? '') + key)}?X-Amz-Expires=${seconds}`,
    signQuery: true,
  });
  return String((await signer.sign()).url);
}
