import { isElfinError } from '@elfin/core';
import type { ObjectStore } from '@elfin/storage';
import { createWebhook } from '../adapters/node-webhook.ts';
import type { BackfillReport } from '../backfill/backfill.ts';
import type { Handled, Trigger } from '../trigger.ts';
import { type Drain, startDrain } from './drain.ts';
import { answerProbe, isProbe } from './health.ts';
import { openJournal } from './journal.ts';
import { listen } from './probes.ts';
import { createReconciler } from './reconcile.ts';

export interface WatchOptions {
  readonly trigger: Trigger;
  /** Where events are kept until they are done. */
  readonly journal: string;
  readonly secret: string;
  /** Default 0: any free one. */
  readonly port?: number;
  /** Default 127.0.0.1. */
  readonly hostname?: string;
  readonly maxBytes?: number;
  readonly concurrency?: number;
  /** Of the uploads: what the rules write to for these is probed before anything listens. Default: those of `reconcile`. */
  readonly buckets?: readonly string[];
  /** Lists these at the start and every `everyMs`, and makes up for what no event told of; what fails but may pass comes again. */
  readonly reconcile?: {
    readonly places: readonly { readonly bucket: string; readonly store: ObjectStore; readonly prefix?: string }[];
    /** Default: at the start only. */
    readonly everyMs?: number;
  };
  /** Of events, and of what a reconciliation did not find done. */
  readonly onHandled?: (handled: readonly Handled[]) => void;
  readonly onReconciled?: (bucket: string, report: BackfillReport) => void;
  /** A probe or a reconciliation that failed and is made again. */
  readonly onError?: (error: unknown) => void;
}

export interface Watch {
  /** Where events are posted: append the secret, or send it as a bearer token. */
  readonly url: string;
  readonly port: number;
  readonly drain: Drain;
  /** Lists every place now; resolves when what was missing has been made. */
  reconcile(): Promise<readonly BackfillReport[]>;
  stop(): Promise<void>;
}

/**
 * The webhook as a server: takes events of MinIO and versitygw, journals them, restores, and makes up for lost ones by
 * listing. `GET /healthz` and `GET /metrics` need no secret.
 *
 * @throws CONFIG_INVALID (also for a port that is taken), OUTPUT_UNWRITABLE, STORE_UNSUITABLE before anything listens.
 */
export async function startWatch(options: WatchOptions): Promise<Watch> {
  const { trigger, reconcile: plan, concurrency = 8, maxBytes } = options;
  const { onHandled, onReconciled, onError } = options;
  const told = { ...(onHandled && { onHandled }), ...(onReconciled && { onReconciled }), ...(onError && { onError }) };
  const journal = await openJournal(options.journal);
  const webhook = createWebhook({ journal, secret: options.secret, ...(maxBytes !== undefined && { maxBytes }) });
  // Refused here: a store that does not keep its word. One that is not up yet will be: versitygw starts after its receiver.
  const buckets = options.buckets ?? (plan?.places ?? []).map(({ bucket }) => bucket);
  await trigger.check(buckets).catch((error: unknown) => {
    if (!(isElfinError(error) && error.retry)) throw error;
    onError?.(error);
  });
  const stopping = new AbortController();
  let drain: Drain | undefined;

  const fetch = (request: Request): Response | Promise<Response> =>
    request.method === 'GET' && isProbe(request)
      ? answerProbe(request, trigger, drain?.backlog() ?? { pending: 0, oldestMs: 0 })
      : webhook(request);
  const server = await listen(fetch, options);
  drain = await startDrain({ journal, trigger, concurrency, ...(onHandled && { onHandled }) });

  const draining = drain;
  const reconciler = createReconciler({
    ...told,
    trigger,
    concurrency,
    places: plan?.places ?? [],
    signal: stopping.signal,
    ...(plan?.everyMs !== undefined && { everyMs: plan.everyMs }),
  });
  const reconciling = reconciler.run();

  return {
    url: `${server.url}/events`,
    port: server.port,
    drain: draining,
    reconcile: reconciler.pass,
    async stop() {
      stopping.abort();
      server.close();
      await Promise.all([draining.stop(), reconciling]);
    },
  };
}
