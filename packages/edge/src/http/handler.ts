import type { RunResult } from '../result/pipeline.ts';
import { deadlineSignal } from '../result/waiting.ts';
import { asElfinError } from './errors.ts';
import type { QueueMessage } from './handover.ts';
import type { AccessEntry } from './log.ts';
import { type RequestDeps, TransformRequest, type WaitUntil } from './request.ts';
import { continueTrace } from './trace.ts';

export interface Handler {
  /** Answers one transform request; `base` is what stands before `<prefix>/` in its path. Never throws. */
  handleTransform(request: Request, base: string, waitUntil?: WaitUntil): Promise<Response>;
  /** Does queued work. Errors: what the work throws; input errors are final and not thrown. */
  runJob(message: QueueMessage): Promise<void>;
}

export interface HandlerOptions extends RequestDeps {
  /** Told of every request that was answered. */
  readonly log: ((entry: AccessEntry) => void) | undefined;
}

export function createHandler(options: HandlerOptions): Handler {
  const { metrics, log, flight, pipeline, jobDeadline } = options;
  return {
    async handleTransform(request, base, waitUntil) {
      const begin = performance.now();
      const transform = new TransformRequest(options, request, base, waitUntil);
      const response = await transform.answer();
      response.headers.set('elfin-request-id', transform.id);
      const seconds = (performance.now() - begin) / 1000;
      const task = transform.plan?.result.restore ?? 'none';
      metrics.request({ status: response.status, task, cache: transform.cache, seconds });
      log?.(transform.describe(response, seconds));
      return response;
    },

    async runJob({ plan, id }) {
      const { traceparent } = continueTrace(undefined);
      const context = () => ({
        signal: deadlineSignal(jobDeadline),
        deadline: Date.now() + jobDeadline,
        traceparent,
        metrics,
        spans: new Map<string, number>(),
      });
      try {
        await flight.join({
          id,
          queued: true,
          settle: (made: RunResult) => made.settle(),
          collect: (awaited) => pipeline.collect(plan, context(), awaited),
          work: (claim) => pipeline.run(plan, claim, context()),
        });
      } catch (thrown) {
        const error = asElfinError(thrown);
        // What was cancelled is over, though a new request may well begin it anew.
        if (error.code === 'JOB_CANCELLED') return;
        if (error.retry || error.fault !== 'input') throw error;
      }
    },
  };
}
