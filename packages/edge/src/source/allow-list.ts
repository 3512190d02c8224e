import { ElfinError } from '@elfin/core';
import { parseSource, type SourceName } from './name.ts';

type Rule = (name: SourceName) => boolean;

const PORTS: Record<string, string> = { 'http:': '80', 'https:': '443' };

function config(pattern: string, why: string): never {
  throw new ElfinError(
    'CONFIG_INVALID',
    `The source pattern "${pattern}" ${why}; write https://host[:port][/path], https://*.host, s3://bucket[/prefix] or r2://binding[/prefix].`,
  );
}

/** Below `prefix` means the very path, or a path that goes on after a slash: `/a` does not cover `/ab`. */
function below(path: string, prefix: string): boolean {
  return path === prefix || path.startsWith(prefix.endsWith('/') ? prefix : `${prefix}/`);
}

function httpRule(pattern: string): Rule {
  let url: URL;
  try {
    url = new URL(pattern);
  } catch {
    return config(pattern, 'is not a URL');
  }
  if (url.username || url.password || url.search || url.hash) config(pattern, 'carries more than host, port and path');
  const wild = url.hostname.startsWith('*.');
  const host = wild ? url.hostname.slice(1) : url.hostname;
  if (host.includes('*') || host.replaceAll('.', '') === '')
    config(pattern, 'has a wildcard that is not one leading "*."');
  const port = url.port || PORTS[url.protocol];
  const prefix = url.pathname;
  return (name) => {
    if (name.kind !== 'http') return false;
    const { protocol, hostname, pathname } = name.url;
    if (protocol !== url.protocol || (name.url.port || PORTS[protocol]) !== port) return false;
    // `*.host` needs at least one label in front: the bare host is another site, named by its own pattern.
    if (wild ? !(hostname.endsWith(host) && hostname.length > host.length) : hostname !== host) return false;
    if (prefix === '/') return true;
    // An origin that decodes %2F or %5C would climb out of the prefix after the check.
    return below(pathname, prefix) && !/%2f|%5c/i.test(pathname);
  };
}

function bucketRule(pattern: string): Rule {
  const match = /^(s3|r2):\/\/([^/]+)(?:\/(.*))?$/.exec(pattern);
  if (!match) return config(pattern, 'names no bucket');
  const [, kind = '', bucket = '', prefix = ''] = match;
  parseSource(`${kind}://${bucket}/x`);
  return (name) =>
    name.kind === kind && 'bucket' in name && name.bucket === bucket && (prefix === '' || below(name.key, prefix));
}

/**
 * Compiles source patterns into a test on parsed names; nothing is compared as text before parsing, so spellings cannot
 * get around a rule. An empty list allows nothing. Errors: CONFIG_INVALID.
 */
export function createAllowList(patterns: readonly string[]): (name: SourceName) => boolean {
  const rules = patterns.map((pattern) => {
    if (/^https?:\/\//.test(pattern)) return httpRule(pattern);
    return /^(s3|r2):/.test(pattern) ? bucketRule(pattern) : config(pattern, 'has no known scheme');
  });
  return (name) => rules.some((rule) => rule(name));
}
