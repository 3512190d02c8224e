import { Counter, Gauge, Histogram, Registry } from 'prom-client';

/** What a worker tells Prometheus: queue and compute time apart, so that a slow model and too few workers look different. */
export interface WorkerMetrics {
  readonly registry: Registry;
  readonly requests: Counter<'route' | 'status'>;
  readonly queueSeconds: Histogram<'graph'>;
  readonly computeSeconds: Histogram<'graph'>;
  readonly batchSize: Histogram<'graph'>;
  readonly pixels: Counter<'graph'>;
}

const SECONDS = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30];

/** A registry of its own: nothing is shared between two workers of one process. */
export function createWorkerMetrics(state: {
  readonly waiting: () => number;
  readonly running: () => number;
}): WorkerMetrics {
  const registers = [new Registry()] as const;
  const [registry] = registers;
  const gauge = (name: string, help: string, value: () => number) =>
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(value());
      },
    });
  gauge('elfin_worker_queue_depth', 'Tiles waiting', state.waiting);
  gauge('elfin_worker_running', 'Runs of a graph going on', state.running);
  const histogram = (name: string, help: string, buckets: number[]) =>
    new Histogram({ name, help, labelNames: ['graph'] as const, buckets, registers: [registry] });
  return {
    registry,
    requests: new Counter({
      name: 'elfin_worker_requests_total',
      help: 'Requests answered',
      labelNames: ['route', 'status'] as const,
      registers: [registry],
    }),
    queueSeconds: histogram('elfin_worker_queue_seconds', 'Time a tile waited before its run', SECONDS),
    computeSeconds: histogram('elfin_worker_compute_seconds', 'Time a run of the graph took', SECONDS),
    batchSize: histogram('elfin_worker_batch_size', 'Tiles in a run', [1, 2, 4, 8, 16, 32]),
    pixels: new Counter({
      name: 'elfin_worker_pixels_total',
      help: 'Pixels restored',
      labelNames: ['graph'] as const,
      registers: [registry],
    }),
  };
}
