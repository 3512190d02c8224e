import type { CacheState } from './headers.ts';

/** Parts of a request that are timed apart. */
export const SPANS = ['queue', 'fetch', 'decode', 'infer', 'encode', 'store', 'offload'] as const;
export type Span = (typeof SPANS)[number];

/** One answered transform request. */
export interface RequestFact {
  readonly status: number;
  /** What was to be restored, or `none` where the URL could not be read. */
  readonly task: string;
  readonly seconds: number;
  readonly cache: CacheState;
}

/**
 * Where numbers go: Prometheus on Node (`@elfin/edge/node`), Workers Analytics Engine on Cloudflare, whose isolates are
 * too many and too short-lived to be scraped.
 */
export interface Metrics {
  request(fact: RequestFact): void;
  span(span: Span, seconds: number): void;
  /** Something went wrong that the caller never saw, for example a store that could not be written. */
  trouble(where: 'store' | 'source' | 'offload' | 'jobs', code: string): void;
}

/** Counts nothing. */
export const NO_METRICS: Metrics = { request() {}, span() {}, trouble() {} };

/** What Workers Analytics Engine takes; a binding of this shape is in `env`. */
export interface AnalyticsDataset {
  writeDataPoint(point: { readonly indexes: string[]; readonly blobs: string[]; readonly doubles: number[] }): void;
}

/** Writes one data point a request: index task; blobs kind, task or span, status, cache; double seconds. */
export function createAnalyticsMetrics(dataset: AnalyticsDataset): Metrics {
  const point = (index: string, blobs: string[], value: number) =>
    dataset.writeDataPoint({ indexes: [index], blobs, doubles: [value] });
  return {
    request: ({ task, status, cache, seconds }) => point(task, ['request', task, String(status), cache], seconds),
    span: (span, seconds) => point(span, ['span', span, '', ''], seconds),
    trouble: (where, code) => point(where, ['trouble', where, code, ''], 1),
  };
}

/** Where a duration is noted. */
export interface Spans {
  readonly metrics: Metrics;
  /** Milliseconds. */
  readonly spans: Map<string, number>;
}

/** Notes `ms` under `span`, beside what stands there already. */
export function addSpan(span: Span, ms: number, { metrics, spans }: Spans): void {
  spans.set(span, (spans.get(span) ?? 0) + ms);
  metrics.span(span, ms / 1000);
}

/** Runs `work` and notes its duration under `span`, in the metrics and in `spans` (milliseconds). */
export async function timed<T>(span: Span, into: Spans, work: () => Promise<T>): Promise<T> {
  const begin = performance.now();
  try {
    return await work();
  } finally {
    addSpan(span, performance.now() - begin, into);
  }
}
