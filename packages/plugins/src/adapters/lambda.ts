import { ElfinError } from '@elfin/core';
import type { Outcome } from '../job/outcome.ts';
import type { Handled, Trigger } from '../trigger.ts';
import { delaySeconds } from '../watch/redelivery.ts';

/** The part of Lambda's context that is used. */
export interface LambdaContext {
  getRemainingTimeInMillis(): number;
}

export interface LambdaHandlerOptions {
  /**
   * Makes a message that failed visible again in so many seconds (`ChangeMessageVisibility`): without it, it stays hidden for
   * the queue's whole visibility timeout, half an hour for a photo that only had too little time.
   */
  readonly showAgain?:
    | ((message: { readonly queueArn: string; readonly receipt: string }, seconds: number) => Promise<void>)
    | undefined;
}

/**
 * A handler for every way in which S3's events reach Lambda. SQS is answered message by message, which needs
 * `ReportBatchItemFailures`; Batch Operations task by task; S3, SNS and EventBridge know only success or a thrown error,
 * upon which they come again. Results go to storage, never into the reply: that is capped at 6 MB.
 */
export function createLambdaHandler(trigger: Trigger, { showAgain }: LambdaHandlerOptions = {}) {
  return async (event: unknown, context: LambdaContext): Promise<unknown> => {
    const handled = await trigger.handle(event, { remaining: () => context.getRemainingTimeInMillis() });
    const failed = handled.filter(({ outcome }) => outcome.status === 'failed');
    const answerable = handled.every(({ id }) => id !== undefined);
    if (isBatchOperations(event) && answerable) return answerTasks(event, handled);
    if (isSqs(event) && answerable) {
      await Promise.all(messagesOf(event).map((message) => putBack(message, failed, showAgain)));
      const ids = new Set(failed.map(({ id }) => id as string));
      return { batchItemFailures: [...ids].map((itemIdentifier) => ({ itemIdentifier })) };
    }
    if (failed.length > 0) throw summary(failed, handled.length);
    return { handled: handled.length };
  };
}

type BatchEvent = { readonly invocationSchemaVersion: string; readonly invocationId?: string };

const isBatchOperations = (event: unknown): event is BatchEvent =>
  typeof event === 'object' && event !== null && 'invocationSchemaVersion' in event;

const isSqs = (event: unknown) =>
  (event as { Records?: { eventSource?: string }[] } | null)?.Records?.[0]?.eventSource === 'aws:sqs';

function answerTasks(event: BatchEvent, handled: readonly Handled[]) {
  const { invocationSchemaVersion, invocationId } = event;
  const results = handled.map(({ id, outcome }) => ({ taskId: id, ...answerOf(outcome) }));
  return { invocationSchemaVersion, invocationId, treatMissingKeysAs: 'PermanentFailure', results };
}

function answerOf(outcome: Outcome) {
  if (!('error' in outcome))
    return { resultCode: 'Succeeded', resultString: 'key' in outcome ? outcome.key : outcome.reason };
  const { error, status } = outcome;
  const resultCode = status === 'failed' && error.retry ? 'TemporaryFailure' : 'PermanentFailure';
  return { resultCode, resultString: `${error.code}: ${error.message}` };
}

interface SqsRecord {
  readonly messageId: string;
  readonly receiptHandle?: string;
  readonly eventSourceARN?: string;
  readonly attributes?: { readonly ApproximateReceiveCount?: string };
}

const messagesOf = (event: unknown) => (event as { readonly Records: readonly SqsRecord[] }).Records;

async function putBack(
  { messageId, receiptHandle: receipt, eventSourceARN: queueArn, attributes }: SqsRecord,
  failed: readonly Handled[],
  showAgain: LambdaHandlerOptions['showAgain'],
): Promise<void> {
  const errors = failed.flatMap(({ id, outcome }) =>
    id === messageId && outcome.status === 'failed' ? [outcome.error] : [],
  );
  if (!showAgain || errors.length === 0 || receipt === undefined || queueArn === undefined) return;
  const seconds = delaySeconds(errors, Number(attributes?.ApproximateReceiveCount ?? 1));
  // Where it fails, the message comes again when its visibility timeout is over.
  await showAgain({ queueArn, receipt }, seconds).catch(() => undefined);
}

function summary(failed: readonly Handled[], all: number): ElfinError {
  const { error } = failed[0]!.outcome as Extract<Outcome, { status: 'failed' }>;
  const paths = failed.map(({ path }) => path);
  const message = `${failed.length} of ${all} events failed, the first at ${paths[0]}: ${error.message}`;
  return new ElfinError(error.code, message, { cause: error, data: { paths } });
}
