import type { TriggerCounts } from '../job/outcome.ts';

/** What waits, and for how long the oldest of it has. */
export interface Backlog {
  readonly pending: number;
  readonly oldestMs: number;
}

const HELP: Readonly<Record<keyof TriggerCounts, string>> = {
  events: 'Events that came, whatever became of them.',
  restored: 'Results made and written.',
  done: 'Events whose result was there already.',
  skipped: 'Events with nothing to do.',
  gone: 'Events whose object was not there any more.',
  quarantined: 'Objects that cannot be restored.',
  failed: 'Events that failed and come again or go to the dead letters.',
  inferences: 'Times that the restorer was asked.',
  repeated: 'Inferences whose result another worker had written first.',
  stale: 'Events that spoke of an older version.',
  takeovers: 'Claims taken over from workers that had died.',
  retries: 'Tries made again at once.',
  notifications: 'Notifications sent.',
};

/** Counts and backlog in Prometheus' text format, version 0.0.4. */
export function prometheusText(counts: Readonly<TriggerCounts>, { pending, oldestMs }: Backlog): string {
  const lines = Object.entries(HELP).flatMap(([name, help]) => {
    const metric = `elfin_uploads_${name}_total`;
    return [`# HELP ${metric} ${help}`, `# TYPE ${metric} counter`, `${metric} ${counts[name as keyof TriggerCounts]}`];
  });
  const gauges = [
    ['elfin_uploads_pending', 'Events that are still to be done.', pending],
    ['elfin_uploads_oldest_seconds', 'Age of the oldest of them.', oldestMs / 1000],
  ] as const;
  for (const [name, help, value] of gauges)
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} gauge`, `${name} ${value}`);
  return `${lines.join('\n')}\n`;
}

/**
 * What has been counted since `before`, as a line in CloudWatch's Embedded Metric Format: written to a function's output,
 * it becomes metrics without any call.
 */
export function emfLine(
  counts: Readonly<TriggerCounts>,
  before: Readonly<TriggerCounts>,
  dimensions: Readonly<Record<string, string>>,
  now = Date.now(),
): string {
  const names = Object.keys(HELP) as (keyof TriggerCounts)[];
  const CloudWatchMetrics = [
    {
      Namespace: 'elfin',
      Dimensions: [Object.keys(dimensions)],
      Metrics: names.map((Name) => ({ Name, Unit: 'Count' })),
    },
  ];
  const values = Object.fromEntries(names.map((name) => [name, counts[name] - before[name]]));
  return JSON.stringify({ _aws: { Timestamp: now, CloudWatchMetrics }, ...dimensions, ...values });
}
