export { createWebhook, type WebhookOptions } from '../adapters/node-webhook.ts';
export { cursorFile } from '../backfill/cursor-file.ts';
export { type Drain, type DrainOptions, startDrain } from '../watch/drain.ts';
export { answerProbe, isProbe } from '../watch/health.ts';
export { type Journal, openJournal } from '../watch/journal.ts';
export { listen } from '../watch/probes.ts';
export { type RedriveQuarantineOptions, redriveJournal, redriveQuarantine } from '../watch/redrive.ts';
export { startWatch, type Watch, type WatchOptions } from '../watch/watch.ts';
