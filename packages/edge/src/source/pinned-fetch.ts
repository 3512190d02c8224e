import { lookup as resolveName } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { ElfinError } from '@elfin/core';
import { Agent, fetch as undiciFetch } from 'undici';
import { type AddressPolicy, createAddressPolicy } from './address.ts';

/** Resolves like `dns.lookup` and keeps only addresses that `policy` lets through. */
export function createPolicedLookup(policy: AddressPolicy, resolve: typeof resolveName = resolveName): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, addresses) => {
      const kept = error ? [] : addresses.filter(({ address }) => policy(address));
      const [first] = kept;
      if (error || !first) {
        const refusal = new ElfinError(
          error ? 'SOURCE_FAILED' : 'SOURCE_FORBIDDEN',
          error
            ? 'The source’s host name does not resolve.'
            : 'The source’s host name resolves to an address that is not public.',
          { cause: error ?? undefined },
        );
        callback(refusal, '', 0);
      } else if (options.all) callback(null, kept);
      else callback(null, first.address, first.family);
    });
  };
}

/**
 * A `fetch` for Node whose sockets connect to the very addresses that were checked: a name that resolves to a public
 * address when asked and to an inner one when connected to (DNS rebinding) gains nothing.
 */
export function createPinnedFetch(
  options: { readonly networks?: readonly string[] | undefined; readonly resolve?: typeof resolveName } = {},
) {
  const policy = createAddressPolicy(options.networks);
  const dispatcher = new Agent({
    connect: { lookup: createPolicedLookup(policy, options.resolve), timeout: 5_000 },
    headersTimeout: 30_000,
    bodyTimeout: 30_000,
    connections: 64,
    maxResponseSize: -1,
  });
  const pinned = (url: string, init: RequestInit): Promise<Response> =>
    undiciFetch(url, { ...init, dispatcher } as Parameters<typeof undiciFetch>[1]) as unknown as Promise<Response>;
  return Object.assign(pinned, { close: () => dispatcher.close() });
}
