import { ElfinError } from '@elfin/core';
import { type AddressPolicy, createAddressPolicy, isAddress } from './address.ts';
import { createAllowList } from './allow-list.ts';
import { parseSource, type SourceName } from './name.ts';
import type { CacheScope, Revision, Source, SourceReply } from './source.ts';
import { sourceError } from './source.ts';

/** Names this software to the next hop; a request that carries it has been through here already. */
export const HOP_HEADER = 'elfin-hop';

export interface HttpSourceOptions {
  /** Patterns that each hop must match, the first and every redirect. */
  readonly allow: readonly string[];
  /** On Node, one that also checks and pins the address at connect (`@elfin/edge/node`); the platform's own otherwise. */
  readonly fetch?: ((url: string, init: RequestInit) => Promise<Response>) | undefined;
  /** Addresses beside public ones that a URL may name; see `createAddressPolicy`. */
  readonly networks?: readonly string[] | undefined;
  /** Milliseconds for headers and body together. Default 10 s. */
  readonly timeout?: number | undefined;
  /** Whether an origin’s `private` and `no-store` count. Default true. */
  readonly respectCacheControl?: boolean | undefined;
  /** Where names without a scheme point, for example `https://origin.example/photos/`. Must itself match `allow`. */
  readonly base?: string | undefined;
}

const MAX_REDIRECTS = 3;
/** Seconds of `max-age` from which `immutable` is taken at its word: 300 days. A shorter one is a promise that ends. */
const PINNED_AGE = 300 * 86_400;

const forbidden = (why: string) => new ElfinError('SOURCE_FORBIDDEN', `The source ${why}.`);

/** Joins a path below `base`, each segment encoded, so that no segment can mean anything but itself. */
function below(base: string, path: string): URL {
  const url = new URL(base);
  url.pathname = `${url.pathname.replace(/\/$/, '')}/${path.split('/').map(encodeURIComponent).join('/')}`;
  return url;
}

/**
 * Reads http(s) sources. Each hop is checked anew against the allow-list and the address rules, at most three redirects
 * are followed, and neither cookies nor credentials are ever sent. What the target of a redirect says of itself (its ETag,
 * that it never changes) is nothing that the name redirected from has said. Errors: SOURCE_FORBIDDEN (also 401, 403, 451), SOURCE_MISSING (404,
 * 410), SOURCE_FAILED (any other status, no connection), SOURCE_TIMEOUT.
 */
export function createHttpSource(options: HttpSourceOptions): Source {
  const allowed = createAllowList(options.allow);
  const policy: AddressPolicy = createAddressPolicy(options.networks);
  const send = options.fetch ?? ((url, init) => fetch(url, init));
  const timeout = options.timeout ?? 10_000;

  function check(name: SourceName): asserts name is Extract<SourceName, { kind: 'http' }> {
    if (name.kind !== 'http' || !allowed(name)) throw forbidden('is not on this server’s allow-list');
    if (isAddress(name.url.hostname) && !policy(name.url.hostname))
      throw forbidden('names an address that is not public');
  }

  function follow(from: URL, location: string | null): URL {
    if (!location) throw new ElfinError('SOURCE_FAILED', 'The source redirects without saying where to.');
    let next: SourceName;
    try {
      next = parseSource(new URL(location, from).href);
    } catch (cause) {
      throw new ElfinError('SOURCE_FORBIDDEN', 'The source redirects to what is no allowed URL.', { cause });
    }
    check(next);
    return next.url;
  }

  return {
    async read(name, request = {}): Promise<SourceReply> {
      const limit = AbortSignal.timeout(timeout);
      const signal = request.signal ? AbortSignal.any([request.signal, limit]) : limit;
      const first: SourceName =
        name.kind === 'path' && options.base !== undefined
          ? { kind: 'http', url: below(options.base, name.path) }
          : name;
      check(first);
      let url = first.url;
      const headers: Record<string, string> = {
        accept: 'image/*',
        // A compressed body would be inflated past the cap's sight on some platforms; images gain nothing from it.
        'accept-encoding': 'identity',
        'user-agent': 'elfin',
        via: '1.1 elfin',
        [HOP_HEADER]: '1',
        ...(request.traceparent ? { traceparent: request.traceparent } : {}),
      };
      try {
        for (let hop = 0; ; hop++) {
          const known = request.known?.url === url.href ? request.known : undefined;
          const asked = { ...headers, ...conditions(known) };
          const response = await send(url.href, { headers: asked, signal, redirect: 'manual' });
          if ([301, 302, 303, 307, 308].includes(response.status)) {
            await response.body?.cancel();
            if (hop === MAX_REDIRECTS)
              throw new ElfinError('SOURCE_FAILED', `The source redirects more than ${MAX_REDIRECTS} times.`);
            url = follow(url, response.headers.get('location'));
            continue;
          }
          const found = await reply(response, { url, hop, conditional: known !== undefined });
          return found.state === 'found' && options.respectCacheControl === false
            ? { ...found, scope: 'public' }
            : found;
        }
      } catch (thrown) {
        throw sourceError(thrown, signal);
      }
    },
  };
}

function conditions(known: Revision | undefined): Record<string, string> {
  return {
    ...(known?.etag ? { 'if-none-match': known.etag } : {}),
    ...(known?.lastModified ? { 'if-modified-since': known.lastModified } : {}),
  };
}

/** Whether `Cache-Control` promises that the bytes stay for good. */
function isPinned(cacheControl: string | null): boolean {
  const directives = (cacheControl ?? '').split(',').map((part) => part.trim().toLowerCase());
  const age = directives.find((part) => part.startsWith('max-age='))?.slice('max-age='.length);
  return directives.includes('immutable') && Number(age) >= PINNED_AGE;
}

/** What the origin forbids; the stricter of several directives. */
function scopeOf(cacheControl: string | null): CacheScope {
  const directives = (cacheControl ?? '').split(',').map((part) => part.split('=')[0]?.trim().toLowerCase());
  if (directives.includes('no-store')) return 'no-store';
  return directives.includes('private') ? 'private' : 'public';
}

async function reply(
  response: Response,
  { url, hop, conditional }: { readonly url: URL; readonly hop: number; readonly conditional: boolean },
): Promise<SourceReply> {
  if (response.status === 304 && conditional) return { state: 'same' };
  if (response.status !== 200 || !response.body) {
    await response.body?.cancel();
    if (response.status === 404 || response.status === 410) {
      throw new ElfinError('SOURCE_MISSING', 'The source does not exist.');
    }
    // Buckets say 403 for what is not there to those who may not list them; no second try would change it.
    if ([401, 403, 451].includes(response.status)) {
      throw new ElfinError('SOURCE_FORBIDDEN', `The source’s server refuses it (${response.status}).`);
    }
    if (response.status === 508 && response.headers.get('elfin-error') === 'LOOP_DETECTED') {
      throw new ElfinError('LOOP_DETECTED', 'The source is answered by elfin itself.');
    }
    throw new ElfinError('SOURCE_FAILED', `The source’s server answered ${response.status}.`, {
      data: { status: response.status },
    });
  }
  const etag = response.headers.get('etag') ?? undefined;
  const lastModified = response.headers.get('last-modified') ?? undefined;
  const declared = response.headers.get('content-length');
  const strong = etag?.match(/^"([^"]+)"$/)?.[1];
  return {
    state: 'found',
    body: response.body,
    ...(declared !== null && /^\d{1,15}$/.test(declared) ? { size: Number(declared) } : {}),
    revision: { url: url.href, ...(etag ? { etag } : {}), ...(lastModified ? { lastModified } : {}) },
    ...(strong && hop === 0 ? { validator: { etag: strong } } : {}),
    pinned: hop === 0 && isPinned(response.headers.get('cache-control')),
    scope: scopeOf(response.headers.get('cache-control')),
  };
}
