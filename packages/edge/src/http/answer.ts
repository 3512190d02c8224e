import type { ElfinError, RestoreStatus } from '@elfin/core';
import { isFinal, type JobRecord } from '../result/jobs.ts';
import type { Finished, Interim } from '../result/pipeline.ts';
import { parseSource } from '../source/name.ts';
import type { Plan } from '../url/transform.ts';
import { asElfinError, errorResponse, retryAfter } from './errors.ts';
import { cacheControl, formatInfo, formatTiming, NO_STORE, SECURITY, statusHeader } from './headers.ts';
import { noneMatch } from './negotiate.ts';

/** Seconds after which a client may look again where nothing tells how long it will take. */
export const RETRY_SECONDS = 2;

/** Seconds that a result is kept elsewhere while its origin is down. */
const STALE_SECONDS = 5;

/** What every answer to one transform request has in common. */
export interface AnswerContext {
  readonly request: Request;
  readonly plan: Plan;
  /** Seconds since the epoch at which the signature runs out. */
  readonly exp?: number | undefined;
  readonly spans: ReadonlyMap<string, number>;
  readonly sourceTtl: number;
}

function respond(body: Uint8Array | string | null, status: number, headers: Record<string, string>): Response {
  return new Response(body as Uint8Array<ArrayBuffer> | string | null, {
    status,
    headers: { ...SECURITY, ...headers },
  });
}

const timing = (spans: ReadonlyMap<string, number>): Record<string, string> =>
  spans.size > 0 ? { 'server-timing': formatTiming(spans) } : {};

/** A finished result: 200, or 304 where the client has it. */
export function answerFinished(finished: Finished, context: AnswerContext): Response {
  const { plan, exp, spans, sourceTtl, request } = context;
  const { info } = finished.result;
  const { scope } = finished;
  // Weak for JSON, which also tells how long it took and where it came from this time.
  const etag = plan.json ? `W/"${finished.key}.json"` : `"${finished.key}"`;
  const left = Math.max(0, sourceTtl - (Date.now() - finished.checkedAt) / 1000);
  const restored = info.restored !== undefined && info.restored.task !== 'none';
  const headers: Record<string, string> = {
    etag,
    'cache-control':
      // The origin is down: another look soon is worth more than a quiet cache.
      finished.cache === 'stale'
        ? cacheControl({ pinned: false, scope, ttl: STALE_SECONDS, exp, stale: false })
        : cacheControl({ pinned: finished.pinned, scope, ttl: left, exp }),
    ...(scope === 'no-store' ? { 'cdn-cache-control': 'no-store' } : {}),
    ...(plan.negotiated ? { vary: 'Accept' } : {}),
    ...statusHeader({ state: restored ? 'restored' : 'passthrough' }),
    'elfin-info': formatInfo(info, finished.cache),
    ...timing(spans),
  };
  if (noneMatch(request.headers.get('if-none-match'), etag)) return respond(null, 304, headers);
  if (plan.json) {
    const body = { ...info, key: finished.key, cache: finished.cache, timings: Object.fromEntries(spans) };
    return respond(JSON.stringify(body), 200, { ...headers, 'content-type': 'application/json' });
  }
  const { bytes, type } = finished.result;
  return respond(bytes, 200, { ...headers, 'content-type': type, 'content-length': String(bytes.byteLength) });
}

/** What is known of pending work. */
export interface PendingWork {
  /** Absent where the work has no place in the queue yet. */
  readonly job?: string | undefined;
  /** Seconds. */
  readonly retryAfter?: number | undefined;
}

/** A body that is not the result: the source made ready. No cache may keep it, and it has no ETag to come back with. */
export function answerInterim(interim: Interim, context: AnswerContext, work: PendingWork = {}): Response {
  const { plan, spans } = context;
  const { bytes, type, info } = interim.result;
  const { job, retryAfter = RETRY_SECONDS } = work;
  const status: RestoreStatus =
    interim.state === 'pending'
      ? { state: 'pending', ...(job ? { job } : {}), eta: retryAfter }
      : { state: 'degraded', reason: interim.reason };
  const headers = {
    ...NO_STORE,
    ...statusHeader(status),
    'retry-after': String(retryAfter),
    'elfin-info': formatInfo(info, 'none'),
    ...(plan.negotiated ? { vary: 'Accept' } : {}),
    ...(interim.state === 'pending' ? { 'is-intermediate-response': 'true' } : {}),
    ...timing(spans),
  };
  if (plan.json) {
    const body = { ...info, state: interim.state, reason: interim.reason };
    return respond(JSON.stringify(body), 200, { ...headers, 'content-type': 'application/json' });
  }
  return respond(bytes, 200, { ...headers, 'content-type': type, 'content-length': String(bytes.byteLength) });
}

/**
 * Where a caller follows a job. `to` is its own path and query, for when the job is done: the record knows of none, or a job
 * would hand on signed URLs.
 */
export const jobUrl = (id: string, base: string, to: string) => `${base}jobs/${id}?to=${encodeURIComponent(to)}`;

/** 202 with where to ask: for clients that wait by themselves. `location` is of {@link jobUrl}. */
export function answerAccepted(
  work: Required<PendingWork> & { readonly location: string; readonly preference?: string },
): Response {
  const { job = '', location, retryAfter = RETRY_SECONDS, preference } = work;
  return respond(JSON.stringify({ id: job, state: 'running', location }), 202, {
    ...NO_STORE,
    ...statusHeader({ state: 'pending', job, eta: retryAfter }),
    'content-type': 'application/json',
    location,
    'retry-after': String(retryAfter),
    ...(preference ? { 'preference-applied': preference } : {}),
  });
}

/** A failure, or where the URL asks for it a redirect to the source. */
export function answerError(thrown: unknown, plan?: Plan, job?: string): Response {
  const error: ElfinError = asElfinError(thrown);
  const source = plan?.redirectOnError && error.code !== 'SOURCE_FORBIDDEN' ? parseSource(plan.source) : undefined;
  if (source?.kind === 'http') {
    return respond(null, 302, { ...NO_STORE, location: source.url.href, 'elfin-error': error.code });
  }
  const response = errorResponse(error);
  for (const [name, value] of Object.entries(SECURITY)) response.headers.set(name, value);
  if (error.code === 'PENDING' && job) {
    response.headers.set(
      'restore-status',
      statusHeader({ state: 'pending', job, eta: retryAfter(error) ?? RETRY_SECONDS })['restore-status'] as string,
    );
    response.headers.set('cdn-cache-control', 'no-store');
  }
  return response;
}

/** What is told of a job, with where its result is once it is there. The owner and its lease are nobody's business. */
export function describeJob({ id, state, progress, createdAt, error }: JobRecord, to?: string): string {
  return JSON.stringify({
    id,
    state,
    progress,
    createdAt: new Date(createdAt).toISOString(),
    ...(error ? { error } : {}),
    ...(state === 'done' && to !== undefined ? { location: to } : {}),
  });
}

/** A job's state; 303 once it is done, to where its caller asked to be led. */
export function answerJob(record: JobRecord, to?: string): Response {
  const { state } = record;
  const leads = state === 'done' && to !== undefined;
  return respond(describeJob(record, to), leads ? 303 : 200, {
    ...NO_STORE,
    'content-type': 'application/json',
    ...(leads ? { location: to } : {}),
    ...(isFinal(state) ? {} : { 'retry-after': String(RETRY_SECONDS) }),
  });
}
