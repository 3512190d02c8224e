import type { Trigger } from '../trigger.ts';
import { type Backlog, prometheusText } from './metrics.ts';

/** From this age of the oldest event on `/healthz` calls itself late: something keeps events from being done. */
const LATE_MS = 15 * 60_000;

const PATHS: ReadonlySet<string> = new Set(['/healthz', '/metrics']);

export const isProbe = (request: Request): boolean => PATHS.has(new URL(request.url).pathname);

/**
 * `/healthz` for balancers and people, `/metrics` for Prometheus. A late backlog is told and is no reason to be restarted:
 * the answer stays 200.
 */
export function answerProbe(request: Request, trigger: Pick<Trigger, 'counts'>, backlog: Backlog): Response {
  const counts = trigger.counts();
  if (new URL(request.url).pathname === '/metrics') {
    const headers = { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' };
    return new Response(prometheusText(counts, backlog), { headers });
  }
  const { pending, oldestMs } = backlog;
  const status = oldestMs > LATE_MS ? 'late' : 'ok';
  return Response.json({ status, pending, oldestSeconds: Math.round(oldestMs / 1000), counts });
}
