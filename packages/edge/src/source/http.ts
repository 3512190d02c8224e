import { ElfinError } from '@elfin/core';
import { type AddressPolicy, createAddressPolicy, isAddress } from './address.ts';
import { createAllowList } from './allow-list.ts';
import { parseSource, type SourceName } from './name.ts';
import type { Source, SourceReply } from './source.ts';
import { sourceError } from './source.ts';

/** Names this software to the next hop; a request that carries it has been through here already. */
export const HOP_HEADER = 'elfin-hop';

export interface HttpSourceOptions {
  /** Patterns that each hop must match, the first and every redirect. */
  readonly allow: readonly string[];
  /** On Node, one that also checks and pins the address at connect (`@elfin/edge/node`); the platform's own otherwise. */
  readonly fetch?: (url: string, init: RequestInit) => Promise<Response>;
  /** Addresses beside public ones that a URL may name; see `createAddressPolicy`. */
  readonly networks?: readonly string[];
  /** Milliseconds for headers and body together. Default 10 s. */
  readonly timeout?: number;
  /** Where names without a scheme point, for example `https://origin.example/photos/`. Must itself match `allow`. */
  readonly base?: string;
}

const MAX_REDIRECTS = 3;

const forbidden = (why: string) => new ElfinError('SOURCE_FORBIDDEN', `The source ${why}.`);

/** Joins a path below `base`, each segment encoded, so that no segment can mean anything but itself. */
function below(base: string, path: string): URL {
  const url = new URL(base);
  url.pathname = `${url.pathname.replace(/\/$/, '')}/${path.split('/').map(encodeURIComponent).join('/')}`;
  return url;
}

/**
 * Reads http(s) sources. Each hop is checked anew against the allow-list and the address rules, at most three redirects
 * are followed, and neither cookies nor credentials are ever sent. Errors: SOURCE_FORBIDDEN, SOURCE_MISSING (404, 410),
 * SOURCE_FAILED (any other status, no connection), SOURCE_TIMEOUT.
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
        ...(request.known?.etag ? { 'if-none-match': request.known.etag } : {}),
        ...(request.known?.lastModified ? { 'if-modified-since': request.known.lastModified } : {}),
      };
      try {
        for (let hop = 0; ; hop++) {
          const response = await send(url.href, { headers, signal, redirect: 'manual' });
          if ([301, 302, 303, 307, 308].includes(response.status)) {
            await response.body?.cancel();
            if (hop === MAX_REDIRECTS)
              throw new ElfinError('SOURCE_FAILED', `The source redirects more than ${MAX_REDIRECTS} times.`);
            url = follow(url, response.headers.get('location'));
            continue;
          }
          return await reply(response, request.known !== undefined);
        }
      } catch (thrown) {
        throw sourceError(thrown, signal);
      }
    },
  };
}

async function reply(response: Response, conditional: boolean): Promise<SourceReply> {
  if (response.status === 304 && conditional) return { state: 'same' };
  if (response.status !== 200 || !response.body) {
    await response.body?.cancel();
    if (response.status === 404 || response.status === 410) {
      throw new ElfinError('SOURCE_MISSING', 'The source does not exist.');
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
    revision: { ...(etag ? { etag } : {}), ...(lastModified ? { lastModified } : {}) },
    ...(strong ? { validator: { etag: strong } } : {}),
    pinned: /(?:^|[,\s])immutable(?:$|[,\s])/i.test(response.headers.get('cache-control') ?? ''),
  };
}
