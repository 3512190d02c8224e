import { ElfinError, isElfinError } from '@elfin/core';
import { putSettled, readAll, tooManyBytes } from '@elfin/storage';
import type { UploadEvent } from '../events/event.ts';
import type { UploadRestorer } from '../restorers/restorer.ts';
import { CONTENT_TYPES } from '../rules/format.ts';
import type { Rule } from '../rules/rules.ts';
import { type MadeResult, writeAlias } from '../steps/alias.ts';
import { type Notify, notificationId } from '../steps/notify.ts';
import type { Step } from '../steps/step.ts';
import type { Storage } from '../storage.ts';
import { type ClaimOptions, claim, isClaimed } from './claim.ts';
import { belongingsOf } from './keep.ts';
import { markedMetadata, RESTORED_MARK } from './marks.ts';
import { estimateMemory, type MemoryBudget } from './memory-budget.ts';
import type { Outcome, TriggerCounts } from './outcome.ts';
import { gone, type Plan, planFor } from './plan.ts';

/** Everything that the work on one object needs. */
export interface Workshop {
  readonly storage: Storage;
  readonly restorer: UploadRestorer;
  readonly claims: ClaimOptions;
  readonly steps: readonly Step[];
  readonly notify: Notify | undefined;
  readonly memory: MemoryBudget;
  readonly counts: TriggerCounts;
}

/** How often an object may be overwritten under our hands before it is left to a later event. */
const OVERTAKEN = 5;

interface Made extends MadeResult {
  readonly report?: Readonly<Record<string, unknown>>;
}

/**
 * Restores one object: plan → look → claim → get → restore → steps → put → alias → notify → give the claim back. The put is
 * the commit; a claim beside a committed result says that what follows the commit is still to be done.
 *
 * @param onPlan Called with what is to be made, before anything is: with the version that the event left open.
 * @throws every code of the store and the restorer; CLAIM_HELD while another worker is at it.
 */
export async function restoreObject(
  shop: Workshop,
  first: UploadEvent,
  candidates: readonly Rule[],
  signal: AbortSignal,
  onPlan: (plan: Plan) => void,
): Promise<Outcome> {
  let event = first;
  for (let round = 0; round < OVERTAKEN; round++) {
    const plan = await planFor(event, candidates, { ...shop, signal });
    if (typeof plan === 'string') return { status: 'skipped', reason: plan };
    onPlan(plan);
    const outcome = await carryOut(shop, plan, signal);
    if (outcome !== 'stale') return outcome;
    // The object is another by now. The event of that one may be lost (versitygw tells once), so what is there is made.
    shop.counts.stale++;
    const { etag: _e, size: _s, type: _t, versionId: _v, sequencer: _q, ...rest } = event;
    event = rest;
  }
  throw new ElfinError('STORE_FAILED', `"${first.key}" is overwritten faster than it can be restored; try later.`);
}

async function carryOut(shop: Workshop, plan: Plan, signal: AbortSignal): Promise<Outcome | 'stale'> {
  const { target } = plan;
  const place = { key: target.key, bucket: target.bucket } as const;
  const before = await target.store.head(target.key, { signal });
  // Where nothing follows the commit, nothing can be left to do, and the claim need not be looked for.
  const follows = plan.alias !== undefined || shop.notify !== undefined;
  if (before && !(follows && (await isClaimed(target.store, shop.claims.prefix, plan.digest)))) {
    await writeAlias(plan, undefined, signal);
    return { status: 'done', ...place };
  }
  const held = await claim(target.store, plan.digest, shop.claims);
  if (held.takenOver) shop.counts.takeovers++;
  const working = AbortSignal.any([signal, held.lost]);
  let committed = before !== undefined;
  try {
    let made: Made | undefined;
    let news = false;
    if (!committed) {
      const attempt = await make(shop, plan, working);
      if (typeof attempt === 'string' || 'status' in attempt) {
        await held.release();
        return attempt;
      }
      news = (await commit(shop, plan, attempt, working)) !== 'exists';
      made = attempt;
      committed = true;
    }
    await writeAlias(plan, made, working);
    await announce(shop, plan, working);
    await held.release();
    return news
      ? { status: 'restored', ...place, ...(made?.report && { report: made.report }) }
      : { status: 'done', ...place };
  } catch (error) {
    // What cannot be given back expires.
    await (committed ? held.abandon() : held.release()).catch(() => undefined);
    throw held.lost.aborted && !signal.aborted ? (held.lost.reason as unknown) : error;
  }
}

async function make(shop: Workshop, plan: Plan, signal: AbortSignal): Promise<Made | Outcome | 'stale'> {
  const { event, rule, options } = plan;
  const what = `"${event.key}" in bucket ${event.bucket}`;
  if (event.size !== undefined && event.size > rule.maxBytes) throw tooManyBytes(what, event.size, rule.maxBytes);
  return shop.memory.run(estimateMemory(event.size ?? rule.maxBytes), async () => {
    const found = await plan.source.get(event.key, {
      signal,
      ifMatch: plan.etag,
      ...(plan.versionId !== undefined && { versionId: plan.versionId }),
    });
    if (found === undefined) throw gone(event);
    if (found === 'changed') return 'stale';
    const leave = async (reason: string): Promise<Outcome> => {
      await found.body.cancel();
      return { status: 'skipped', reason };
    };
    if (found.metadata[RESTORED_MARK] !== undefined) return leave("it is elfin's own result");
    if (found.size < rule.minBytes) return leave(`its ${found.size} bytes are fewer than the rule's minBytes`);
    if (found.size > rule.maxBytes) {
      await found.body.cancel();
      throw tooManyBytes(what, found.size, rule.maxBytes);
    }
    const bytes = await readAll(found.body, { limit: rule.maxBytes, what, signal });
    shop.counts.inferences++;
    const { bytes: restored, report } = await shop.restorer.restoreBytes(bytes, options, { signal });
    const marks = { digest: plan.digest, etag: plan.etag };
    for (const step of shop.steps) {
      await step.run({
        event,
        rule,
        options,
        source: {
          bytes,
          etag: plan.etag,
          metadata: found.metadata,
          ...(found.type && { type: found.type }),
          ...(found.versionId && { versionId: found.versionId }),
        },
        result: {
          bucket: plan.target.bucket,
          key: plan.target.key,
          bytes: restored,
          type: CONTENT_TYPES[options.format],
          ...(report && { report }),
        },
        marks: markedMetadata({}, marks),
        storage: shop.storage,
        signal,
      });
    }
    const { versionId } = plan;
    const origin = { store: plan.source, key: event.key, head: found, ...(versionId !== undefined && { versionId }) };
    return {
      bytes: restored,
      belongings: await belongingsOf(rule, origin, signal),
      ...(report && { report }),
    };
  });
}

async function commit(shop: Workshop, { target, options, digest, etag }: Plan, made: Made, signal: AbortSignal) {
  const { metadata, ...others } = made.belongings;
  const written = await putSettled(target.store, target.key, made.bytes, {
    ...others,
    ifAbsent: true,
    type: CONTENT_TYPES[options.format],
    metadata: markedMetadata(metadata, { digest, etag }),
    signal,
  });
  if (written === 'exists') shop.counts.repeated++;
  return written;
}

async function announce(shop: Workshop, plan: Plan, signal: AbortSignal): Promise<void> {
  if (!shop.notify) return;
  const { event, target } = plan;
  const completion = {
    type: 'elfin.restored',
    timestamp: new Date().toISOString(),
    data: {
      source: { bucket: event.bucket, key: event.key, etag: plan.etag },
      result: { bucket: target.bucket, key: target.key, type: CONTENT_TYPES[plan.options.format] },
      ...(plan.alias !== undefined && { alias: plan.alias }),
      task: plan.rule.task,
    },
  } as const;
  await shop.notify(await notificationId(target.bucket, target.key), completion, signal);
  shop.counts.notifications++;
}

/** Any error as an ElfinError: what a restorer or step throws without a code may pass, so it is tried again. */
export function coded(error: unknown, event: UploadEvent, signal: AbortSignal): ElfinError {
  if (signal.aborted) {
    const message = `The work on "${event.key}" was stopped before it was done; it is to be delivered again.`;
    return new ElfinError('DEADLINE_EXCEEDED', message, { cause: error });
  }
  if (isElfinError(error)) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new ElfinError('RUNTIME_FAILED', `Restoring "${event.key}" failed: ${reason}.`, { cause: error });
}
