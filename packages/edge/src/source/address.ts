import { ElfinError } from '@elfin/core';
import ipaddr from 'ipaddr.js';

type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** The IPv4 address that an IPv6 address carries on to, per transition mechanism: each was a way around a filter once. */
function embedded(address: ipaddr.IPv6): ipaddr.IPv4 | undefined {
  const part = address.parts;
  const v4 = (high = 0, low = 0) => new ipaddr.IPv4([high >> 8, high & 255, low >> 8, low & 255]);
  if (address.isIPv4MappedAddress()) return address.toIPv4Address(); // ::ffff:a.b.c.d, RFC 4291
  if (part.slice(0, 6).every((value) => value === 0)) return v4(part[6], part[7]); // ::a.b.c.d, deprecated by RFC 4291
  if (part.slice(0, 4).every((value) => value === 0) && part[4] === 0xffff && part[5] === 0)
    return v4(part[6], part[7]); // RFC 2765
  if (part[0] === 0x64 && part[1] === 0xff9b) return v4(part[6], part[7]); // NAT64, RFC 6052 and RFC 8215
  if (part[0] === 0x2002) return v4(part[1], part[2]); // 6to4, RFC 3056
  if (part[0] === 0x2001 && part[1] === 0) return v4((part[6] ?? 0) ^ 0xffff, (part[7] ?? 0) ^ 0xffff); // Teredo, RFC 4380
  if ((part[4] === 0 || part[4] === 0x200) && part[5] === 0x5efe) return v4(part[6], part[7]); // ISATAP, RFC 5214
  return undefined;
}

function parse(text: string): Address | undefined {
  const bare = text.replace(/^\[|\]$/g, '');
  return ipaddr.isValid(bare) ? ipaddr.parse(bare) : undefined;
}

/**
 * True for an address on the public internet. Loopback, private, CGNAT, link-local, multicast, benchmarking,
 * documentation and reserved ranges are not, nor is any IPv6 address of a transition mechanism, whatever it carries:
 * no public image server is reached through one. A zone (`fe80::1%eth0`) never is.
 */
export function isPublicAddress(text: string): boolean {
  if (text.includes('%')) return false;
  const address = parse(text);
  if (address === undefined) return false;
  if (address instanceof ipaddr.IPv6 && embedded(address)) return false;
  return address.range() === 'unicast';
}

/** Whether a URL's hostname is an address (in any spelling that the URL parser has folded to one) and not a name. */
export function isAddress(hostname: string): boolean {
  return parse(hostname) !== undefined;
}

/** Decides on addresses; see {@link createAddressPolicy}. */
export type AddressPolicy = (address: string) => boolean;

/**
 * Public addresses pass; others only inside one of `networks` (CIDR), for origins that live on one's own network.
 * Errors: CONFIG_INVALID.
 */
export function createAddressPolicy(networks: readonly string[] = []): AddressPolicy {
  const ranges = networks.map((network) => {
    if (!ipaddr.isValidCIDR(network)) {
      throw new ElfinError('CONFIG_INVALID', `"${network}" is no network; write it like 10.0.0.0/8 or fd00::/8.`);
    }
    return ipaddr.parseCIDR(network);
  });
  return (text) => {
    if (isPublicAddress(text)) return true;
    const address = text.includes('%') ? undefined : parse(text);
    return (
      address !== undefined &&
      ranges.some(([base, bits]) => base.kind() === address.kind() && address.match(base as ipaddr.IPv4, bits))
    );
  };
}
