import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Limiter } from '../result/limiter.ts';
import type { Metrics } from './metrics.ts';

/** Sampled when scraped. */
export interface Gauges {
  readonly lanes: () => Readonly<Record<string, Pick<Limiter, 'queued' | 'running'>>>;
  readonly storeFailing: () => boolean;
  /** By endpoint: 0 closed, 1 half open, 2 open. */
  readonly breakers: () => readonly { readonly endpoint: string; readonly state: 0 | 1 | 2 }[];
}

export interface Prometheus extends Metrics {
  /** Tells where the gauges come from, once the app exists. */
  watch(gauges: Gauges): void;
  /** The text exposition and its media type. */
  scrape(): Promise<{ readonly type: string; readonly body: string }>;
}

const BUCKETS = [0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];

/** Prometheus metrics in a registry of their own, so that several apps fit into one process. */
export function createPrometheus(options: { readonly process?: boolean } = {}): Prometheus {
  const registry = new Registry();
  if (options.process) collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const requests = new Counter({
    name: 'elfin_requests_total',
    help: 'Transform requests answered.',
    labelNames: ['status', 'task'],
    registers,
  });
  const duration = new Histogram({
    name: 'elfin_request_duration_seconds',
    help: 'From the request to its answer.',
    labelNames: ['task'],
    buckets: BUCKETS,
    registers,
  });
  const spans = new Histogram({
    name: 'elfin_span_duration_seconds',
    help: 'Parts of the work, waiting apart from computing.',
    labelNames: ['span'],
    buckets: BUCKETS,
    registers,
  });
  const cache = new Counter({
    name: 'elfin_cache_total',
    help: 'Where answers came from.',
    labelNames: ['result'],
    registers,
  });
  const trouble = new Counter({
    name: 'elfin_trouble_total',
    help: 'Failures that callers did not see.',
    labelNames: ['where', 'code'],
    registers,
  });
  return {
    request({ status, task, seconds, cache: result }) {
      requests.inc({ status: String(status), task });
      duration.observe({ task }, seconds);
      cache.inc({ result });
    },
    span: (span, seconds) => spans.observe({ span }, seconds),
    trouble: (where, code) => trouble.inc({ where, code }),
    watch({ lanes, storeFailing, breakers }) {
      new Gauge({
        name: 'elfin_queue_depth',
        help: 'Work waiting for its turn: to be restored (network), decoded and encoded (codec), read (fetch).',
        labelNames: ['lane'],
        registers,
        collect() {
          for (const [lane, { queued }] of Object.entries(lanes())) this.set({ lane }, queued);
        },
      });
      new Gauge({
        name: 'elfin_lane_running',
        help: 'Work that has its turn.',
        labelNames: ['lane'],
        registers,
        collect() {
          for (const [lane, { running }] of Object.entries(lanes())) this.set({ lane }, running);
        },
      });
      new Gauge({
        name: 'elfin_store_failing',
        help: '1 while the result store fails and each request is made anew.',
        registers,
        collect() {
          this.set(storeFailing() ? 1 : 0);
        },
      });
      new Gauge({
        name: 'elfin_breaker_state',
        help: '0 closed, 1 half open, 2 open.',
        labelNames: ['endpoint'],
        registers,
        collect() {
          for (const { endpoint, state } of breakers()) this.set({ endpoint }, state);
        },
      });
    },
    scrape: async () => ({ type: registry.contentType, body: await registry.metrics() }),
  };
}
