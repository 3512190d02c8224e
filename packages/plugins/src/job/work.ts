import { ElfinError, isElfinError, probeImage } from '@elfin/core';
import { type ObjectBody, putSettled, readAll, tooManyBytes } from '@elfin/storage';
import type { UploadEvent } from '../events/event.ts';
import type { UploadRestorer } from '../restorers/restorer.ts';
import { CONTENT_TYPES } from '../rules/format.ts';
import type { Rule } from '../rules/rules.ts';
import { type MadeResult, writeAlias } from '../steps/alias.ts';
import { type Notify, notificationId } from '../steps/notify.ts';
import type { Step, StepContext } from '../steps/step.ts';
import type { Storage } from '../storage.ts';
import { attributesOf } from './attributes.ts';
import { type Claim, type ClaimOptions, claim, isClaimed } from './claim.ts';
import { markedMetadata, RESTORED_MARK } from './marks.ts';
import { estimateMemory, type MemoryBudget } from './memory-budget.ts';
import type { Outcome, TriggerCounts } from './outcome.ts';
import type { Pace } from './pace.ts';
import { gone, type Plan, planFor } from './plan.ts';
import { createProgress, type Progress } from './progress.ts';

/** Everything that the work on one object needs. */
export interface JobDeps {
  readonly storage: Storage;
  readonly restorer: UploadRestorer;
  readonly claims: ClaimOptions;
  /** Milliseconds without any progress after which the claim is given up. */
  readonly stallMs: number;
  readonly steps: readonly Step[];
  readonly notify: Notify | undefined;
  readonly memory: MemoryBudget;
  readonly pace: Pace;
  readonly counts: TriggerCounts;
}

/** What bounds the work on one object. */
export interface Limits {
  readonly signal: AbortSignal;
  /** Milliseconds left to this invocation, less what it keeps for its end. */
  readonly remaining?: (() => number) | undefined;
}

/** How often an object may be overwritten while it is worked on before it is left to a later event. */
const MAX_STALE_ROUNDS = 5;

interface Made extends MadeResult {
  readonly report?: Readonly<Record<string, unknown>> | undefined;
}

/** What an attempt to make a result came to. */
type Attempt =
  | { readonly kind: 'made'; readonly made: Made }
  /** The source is another object by now. */
  | { readonly kind: 'stale' }
  | { readonly kind: 'skipped'; readonly reason: string };

type JobOutcome = { readonly kind: 'settled'; readonly outcome: Outcome } | { readonly kind: 'stale' };

const settled = (outcome: Outcome): JobOutcome => ({ kind: 'settled', outcome });

/**
 * Restores one object: plan → look → claim → get → restore → steps → put → alias → notify → give the claim back. The put is
 * the commit; a claim beside a committed result says that what follows the commit is still to be done.
 *
 * @param onPlan Called with what is to be made, before anything is: with the version that the event left open.
 * @throws every code of the store and the restorer; CLAIM_HELD while another worker is at it.
 */
export async function restoreObject(
  deps: JobDeps,
  first: UploadEvent,
  candidates: readonly Rule[],
  limits: Limits,
  onPlan: (plan: Plan) => void,
): Promise<Outcome> {
  const { signal } = limits;
  let event = first;
  for (let round = 0; round < MAX_STALE_ROUNDS; round++) {
    const decision = await planFor(event, candidates, { ...deps, signal });
    if (decision.kind === 'skip') return { status: 'skipped', reason: decision.reason };
    onPlan(decision.plan);
    const result = await carryOut(deps, decision.plan, limits);
    if (result.kind === 'settled') return result.outcome;
    // The object is another by now. The event of that one may be lost (versitygw tells once), so what is there is made.
    deps.counts.stale++;
    const { etag: _e, size: _s, type: _t, versionId: _v, sequencer: _q, ...rest } = event;
    event = rest;
  }
  throw new ElfinError('STORE_FAILED', `"${first.key}" is overwritten faster than it can be restored; try later.`);
}

async function carryOut(deps: JobDeps, plan: Plan, limits: Limits): Promise<JobOutcome> {
  const { target } = plan;
  const { signal } = limits;
  const before = await target.store.head(target.key, { signal });
  // Where nothing follows the commit, nothing can be left to do, and the claim need not be looked for.
  const follows = plan.alias !== undefined || deps.notify !== undefined;
  if (before && !(follows && (await isClaimed(target.store, deps.claims.prefix, plan.digest)))) {
    await writeAlias(plan, undefined, signal);
    return settled({ status: 'done', key: target.key, bucket: target.bucket });
  }
  const progress = createProgress(deps.claims.now);
  const held = await claim(target.store, plan.digest, deps.claims, () => progress.movedWithin(deps.stallMs));
  if (held.takenOver) deps.counts.takeovers++;
  return underClaim(deps, { plan, held, progress, limits, committed: before !== undefined });
}

interface ClaimedJob {
  readonly plan: Plan;
  readonly held: Claim;
  readonly progress: Progress;
  readonly limits: Limits;
  /** The result is there already, and what follows it is not. */
  readonly committed: boolean;
}

async function underClaim(deps: JobDeps, { plan, held, progress, limits, ...job }: ClaimedJob): Promise<JobOutcome> {
  const { key, bucket } = plan.target;
  const { signal, remaining } = limits;
  const working = AbortSignal.any([signal, held.lost]);
  let { committed } = job;
  try {
    let made: Made | undefined;
    let created = false;
    if (!committed) {
      const attempt = await make(deps, { plan, progress, signal: working, remaining });
      if (attempt.kind !== 'made') {
        await held.release();
        return attempt.kind === 'stale' ? attempt : settled({ status: 'skipped', reason: attempt.reason });
      }
      made = attempt.made;
      created = (await commit(deps, plan, made, working)) !== 'exists';
      committed = true;
    }
    progress.touch();
    await writeAlias(plan, made, working);
    await notify(deps, plan, working);
    // All is done: a claim that cannot be given back expires, and is no reason to do it again.
    await held.release().catch(() => undefined);
    return settled(
      created ? { status: 'restored', key, bucket, report: made?.report } : { status: 'done', key, bucket },
    );
  } catch (error) {
    // What cannot be given back expires.
    await (committed ? held.abandon() : held.release()).catch(() => undefined);
    throw held.lost.aborted && !signal.aborted ? (held.lost.reason as unknown) : error;
  }
}

interface MakeJob extends Limits {
  readonly plan: Plan;
  readonly progress: Progress;
}

async function make(deps: JobDeps, job: MakeJob): Promise<Attempt> {
  const { plan, progress, signal } = job;
  const { event, rule } = plan;
  if (event.size !== undefined && event.size > rule.maxBytes) throw tooLarge(plan, event.size);
  return deps.memory.run(
    estimateMemory(event.size ?? rule.maxBytes),
    async () => {
      progress.touch();
      const { etag: ifMatch, versionId } = plan;
      const found = await plan.source.get(event.key, { signal, ifMatch, versionId });
      if (found === undefined) throw gone(event);
      if (found === 'changed') return { kind: 'stale' };
      const reason = reasonToSkip(found, rule);
      if (reason !== undefined || found.size > rule.maxBytes) await found.body.cancel();
      if (reason !== undefined) return { kind: 'skipped', reason };
      if (found.size > rule.maxBytes) throw tooLarge(plan, found.size);
      return { kind: 'made', made: await restore(deps, { ...job, found }) };
    },
    signal,
  );
}

const whatIs = ({ event }: Plan) => `"${event.key}" in bucket ${event.bucket}`;
const tooLarge = (plan: Plan, bytes: number) => tooManyBytes(whatIs(plan), bytes, plan.rule.maxBytes);

function reasonToSkip(found: ObjectBody, rule: Rule): string | undefined {
  if (found.metadata[RESTORED_MARK] !== undefined) return "it is elfin's own result";
  if (found.size < rule.minBytes) return `its ${found.size} bytes are fewer than the rule's minBytes`;
  return undefined;
}

interface RestoreJob extends MakeJob {
  readonly found: ObjectBody;
}

async function restore(deps: JobDeps, { plan, found, progress, signal, remaining }: RestoreJob): Promise<Made> {
  const { event, rule, options, versionId } = plan;
  const onProgress = () => progress.touch();
  const bytes = await readAll(found.body, { limit: rule.maxBytes, what: whatIs(plan), signal, onProgress });
  const megapixels = megapixelsOf(bytes);
  assertTime(deps.pace, megapixels, whatIs(plan), remaining);
  deps.counts.inferences++;
  const { bytes: restored, report } = await deps.pace.run(megapixels, () =>
    deps.restorer.restoreBytes(bytes, options, { signal, onProgress }),
  );
  progress.touch();
  const context: StepContext = {
    event,
    rule,
    options,
    source: {
      bytes,
      etag: plan.etag,
      metadata: found.metadata,
      type: found.type,
      versionId: found.versionId,
    },
    result: {
      bucket: plan.target.bucket,
      key: plan.target.key,
      bytes: restored,
      type: CONTENT_TYPES[options.format],
      report,
    },
    marks: markedMetadata({}, { digest: plan.digest, etag: plan.etag }),
    storage: deps.storage,
    signal,
  };
  for (const step of deps.steps) {
    await step.run(context);
    progress.touch();
  }
  const origin = { store: plan.source, key: event.key, head: found, versionId };
  return { bytes: restored, attributes: await attributesOf(rule, origin, signal), report };
}

/** Of an image by its header; what is none is soon told so by the restorer. */
function megapixelsOf(bytes: Uint8Array): number {
  try {
    const { width, height } = probeImage(bytes);
    return Math.max(0.01, (width * height) / 1e6);
  } catch {
    return 0.01;
  }
}

/** What would be cut off in the middle is better not begun: it goes to an invocation that has the time. */
function assertTime(pace: Pace, megapixels: number, what: string, remaining: (() => number) | undefined): void {
  const left = remaining?.() ?? Number.POSITIVE_INFINITY;
  const needed = pace.expectedMs(megapixels);
  if (needed <= left) return;
  const seconds = (ms: number) => `${Math.max(0, Math.round(ms / 1000))} s`;
  const message = `${what} (${megapixels.toFixed(1)} megapixels) would take ${seconds(needed)}, and ${seconds(left)} are left; it is to be delivered again.`;
  throw new ElfinError('DEADLINE_EXCEEDED', message, { data: { megapixels, neededMs: needed, leftMs: left } });
}

async function commit(deps: JobDeps, { target, options, digest, etag }: Plan, made: Made, signal: AbortSignal) {
  const { metadata, ...others } = made.attributes;
  const written = await putSettled(target.store, target.key, made.bytes, {
    ...others,
    ifAbsent: true,
    type: CONTENT_TYPES[options.format],
    metadata: markedMetadata(metadata, { digest, etag }),
    signal,
  });
  if (written === 'exists') deps.counts.repeated++;
  return written;
}

async function notify(deps: JobDeps, plan: Plan, signal: AbortSignal): Promise<void> {
  if (!deps.notify) return;
  const { event, target, alias } = plan;
  const completion = {
    type: 'elfin.restored',
    timestamp: new Date().toISOString(),
    data: {
      source: { bucket: event.bucket, key: event.key, etag: plan.etag },
      result: { bucket: target.bucket, key: target.key, type: CONTENT_TYPES[plan.options.format] },
      ...(alias !== undefined && { alias }),
      task: plan.rule.task,
    },
  } as const;
  await deps.notify(await notificationId(target.bucket, target.key), completion, signal);
  deps.counts.notifications++;
}

/** Codes of a disk that is full for now, wherever the work meets it. */
const DISK_FULL = new Set(['ENOSPC', 'EDQUOT']);

/** Any error as an ElfinError: what a restorer or step throws without a code may pass, so it is tried again. */
export function toElfinError(error: unknown, event: UploadEvent, signal: AbortSignal): ElfinError {
  if (signal.aborted) {
    const message = `The work on "${event.key}" was stopped before it was done; it is to be delivered again.`;
    return new ElfinError('DEADLINE_EXCEEDED', message, { cause: error });
  }
  const full = diskFull(error);
  if (full !== undefined) {
    const message = `Restoring "${event.key}" found the disk full (${full}); free space, and it is tried again.`;
    return new ElfinError('RUNTIME_FAILED', message, { cause: error, data: { reason: full } });
  }
  if (isElfinError(error)) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new ElfinError('RUNTIME_FAILED', `Restoring "${event.key}" failed: ${reason}.`, { cause: error });
}

/** What lies under an error, where that is a full disk: what meets it may call it an input that cannot be written. */
function diskFull(error: unknown): string | undefined {
  for (let cause = error, depth = 0; cause instanceof Error && depth < 8; cause = cause.cause, depth++) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code !== undefined && DISK_FULL.has(code)) return code;
  }
  return undefined;
}
