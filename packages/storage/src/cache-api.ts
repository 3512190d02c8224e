import { ElfinError } from '@elfin/core';
import { readAll } from './bytes.ts';
import type { ObjectBody, ObjectHead, ObjectStore } from './object-store.ts';

const META = 'elfin-meta-';

/**
 * Keeps objects in the Cache API of the data centre that a Worker runs in: near and forgetful, so it serves as the front
 * of `createTieredStore`. It has no conditions and no listing. Errors: STORE_UNSUITABLE for either.
 */
export function createCacheApiStore(options: {
  readonly cache: Pick<Cache, 'match' | 'put' | 'delete'>;
  /** A host of one's own that no request ever names, so that nobody can ask the cache from outside. */
  readonly origin?: string | undefined;
  /** Seconds. Default one day. */
  readonly ttl?: number | undefined;
}): ObjectStore {
  const { cache, origin = 'https://elfin-results.invalid', ttl = 86_400 } = options;
  const url = (key: string) => `${origin}/${key.split('/').map(encodeURIComponent).join('/')}`;
  const unsuitable = (what: string) =>
    new ElfinError('STORE_UNSUITABLE', `The Cache API has no ${what}; put a store that has it behind it.`);

  function toHead(headers: Headers): ObjectHead {
    const metadata: Record<string, string> = {};
    for (const [name, value] of headers) {
      if (name.startsWith(META)) metadata[name.slice(META.length)] = decodeURIComponent(value);
    }
    return {
      etag: (headers.get('etag') ?? '').replaceAll('"', ''),
      size: Number(headers.get('elfin-size')),
      metadata,
      type: headers.get('content-type') ?? undefined,
    };
  }

  return {
    async head(key) {
      const found = await cache.match(url(key));
      await found?.body?.cancel();
      return found ? toHead(found.headers) : undefined;
    },
    async get(key, { ifMatch, range } = {}): Promise<ObjectBody | 'changed' | undefined> {
      if (range) throw unsuitable('ranges');
      const found = await cache.match(url(key));
      if (!found?.body) return undefined;
      const head = toHead(found.headers);
      if (ifMatch === undefined || ifMatch === head.etag) return { ...head, body: found.body };
      await found.body.cancel();
      return 'changed';
    },
    async put(key, body, { ifAbsent, ifMatch, type, metadata = {}, signal } = {}) {
      if (ifAbsent || ifMatch !== undefined) throw unsuitable('conditional writes');
      const bytes = await readAll(body, { signal });
      const etag = crypto.randomUUID();
      const headers = new Headers({
        'cache-control': `public, max-age=${ttl}`,
        'content-type': type ?? 'application/octet-stream',
        'elfin-size': String(bytes.byteLength),
        etag: `"${etag}"`,
      });
      for (const [name, value] of Object.entries(metadata)) headers.set(META + name, encodeURIComponent(value));
      await cache.put(url(key), new Response(bytes as Uint8Array<ArrayBuffer>, { headers }));
      return { etag };
    },
    async delete(key, { ifMatch } = {}) {
      if (ifMatch !== undefined) throw unsuitable('conditional deletes');
      await cache.delete(url(key));
      return true;
    },
    async list() {
      throw unsuitable('listing');
    },
  };
}
