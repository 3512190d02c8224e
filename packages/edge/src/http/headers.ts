import type { RestoreStatus } from '@elfin/core';
import { formatRestoreStatus } from '@elfin/core';
import type { CacheScope } from '../source/source.ts';

/** Facts of one result, kept beside its bytes and told in `Elfin-Info` and `format=json`. */
export interface ResultInfo {
  readonly input: { readonly bytes: number; readonly width: number; readonly height: number; readonly format: string };
  readonly output: { readonly bytes: number; readonly width: number; readonly height: number; readonly format: string };
  /** What restored it: absent where nothing was to be restored. */
  readonly restored?: {
    readonly task: string;
    readonly model: string;
    readonly digest: string;
    /** `local`, or the name of the worker pool. */
    readonly by: string;
    readonly provider: string;
    readonly tiling?: string;
    readonly tiles?: number;
  };
}

const YEAR = 31_536_000;

/** Where a response came from: a store, a store after asking the origin, a store though the origin fails, or the work itself. */
export type CacheState = 'hit' | 'revalidated' | 'stale' | 'miss' | 'none';

/**
 * `Cache-Control` of a finished result. Bytes that can never change are kept for a year; others as long as the source is
 * trusted without asking, and half as long again while a cache asks. Never longer than the signature lives: a cache
 * would otherwise outlive the right to see it.
 */
export function cacheControl(of: {
  readonly pinned: boolean;
  /** Default `public`. */
  readonly scope?: CacheScope | undefined;
  /** Seconds. */
  readonly ttl: number;
  /** Seconds since the epoch. */
  readonly exp?: number | undefined;
  readonly now?: number;
  /** Whether caches may show it for longer while they ask. Default true. */
  readonly stale?: boolean;
}): string {
  const { scope = 'public' } = of;
  if (scope === 'no-store') return scope;
  const left = of.exp === undefined ? YEAR : Math.max(0, Math.floor(of.exp - (of.now ?? Date.now()) / 1000));
  if (of.pinned) return `${scope}, max-age=${Math.min(YEAR, left)}, immutable`;
  const age = Math.min(Math.ceil(of.ttl), left);
  const stale = of.stale === false ? 0 : Math.min(Math.ceil(of.ttl / 2), left - age);
  return `${scope}, max-age=${age}${stale > 0 ? `, stale-while-revalidate=${stale}` : ''}`;
}

/** Headers of a body that no cache may keep: pending and degraded answers. */
export const NO_STORE: Readonly<Record<string, string>> = {
  'cache-control': 'no-store',
  // Cloudflare and other CDNs read this one first; a page rule that overrides Cache-Control does not reach it.
  'cdn-cache-control': 'no-store',
};

/**
 * Headers of every response: an image answered from this origin may run nothing (an SVG or HTML that got through would),
 * is not sniffed into another type, and may be shown by isolated pages of other origins.
 */
export const SECURITY: Readonly<Record<string, string>> = {
  'content-security-policy': "default-src 'none'; sandbox",
  'x-content-type-options': 'nosniff',
  'cross-origin-resource-policy': 'cross-origin',
};

/** Response headers that scripts of other origins may read, where CORS is on. */
export const EXPOSED = ['Restore-Status', 'Retry-After', 'Location', 'ETag', 'Elfin-Info', 'Elfin-Error'] as const;

/** `Elfin-Info`, in Fastly Image Optimizer's form. */
export function formatInfo(info: ResultInfo, cache: CacheState): string {
  const { input, output, restored } = info;
  const parts = [
    `ifsz=${input.bytes}`,
    `idim=${input.width}x${input.height}`,
    `ifmt=${input.format}`,
    `ofsz=${output.bytes}`,
    `odim=${output.width}x${output.height}`,
    `ofmt=${output.format}`,
    `rt=${restored ? restored.model : 'none'}`,
    ...(restored?.tiles === undefined ? [] : [`tiles=${restored.tiles}`]),
    ...(restored ? [`by=${restored.by}`] : []),
    `cache=${cache}`,
  ];
  return parts.join(' ');
}

/** `Restore-Status` as a header entry. */
export function statusHeader(status: RestoreStatus): Readonly<Record<string, string>> {
  return { 'restore-status': formatRestoreStatus(status) };
}

/** `Server-Timing` of spans in milliseconds. */
export function formatTiming(spans: ReadonlyMap<string, number>): string {
  return [...spans].map(([name, ms]) => `${name};dur=${Math.round(ms * 10) / 10}`).join(', ');
}
