export { type AwsNotifyOptions, createAwsNotifier } from './aws/notify.ts';
export { createSqsQueue, regionOf, type SqsMessage, type SqsOptions, type SqsQueue } from './aws/sqs.ts';
export {
  type BackfillCursor,
  type BackfillOptions,
  type BackfillOutcome,
  type BackfillPlace,
  type BackfillReport,
  type BackfillSink,
  type BackfillSinkContext,
  type BackfillState,
  backfill,
  countWanted,
  restoreHere,
} from './backfill/backfill.ts';
export * from './backfill/enqueue-cloudflare.ts';
export { paced } from './backfill/paced.ts';
export * from './backfill/survey.ts';
export type * from './events/event.ts';
export { bareEtag, decodeFormKey } from './events/event.ts';
export { EVENT_SOURCES, parseEnvelope } from './events/parse.ts';
export * from './job/claim.ts';
export { ORIGIN_MARK, RESTORED_MARK, SEQUENCER_MARK, SOURCE_MARK } from './job/marks.ts';
export type { Outcome, TriggerCounts } from './job/outcome.ts';
export type { QuarantineEntry } from './job/quarantine.ts';
export { compareSequencers } from './job/sequencer.ts';
export { jsonLog, type UploadLog, type UploadLogEntry, uploadId } from './log.ts';
export * from './restorers/core.ts';
export * from './restorers/remote.ts';
export type * from './restorers/restorer.ts';
export { parseRules, type Rule, type RuleInput, rulesFromJson } from './rules/rules.ts';
export * from './steps/notify.ts';
export * from './steps/prewarm.ts';
export type * from './steps/step.ts';
export { assertConditionalWrites, type Storage } from './storage.ts';
export * from './trigger.ts';
export { type Backlog, emfLine, prometheusText } from './watch/metrics.ts';
export { type SqsConsumer, type SqsConsumerOptions, startSqsConsumer } from './watch/sqs-consumer.ts';
