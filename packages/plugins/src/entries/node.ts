export { createWebhook, type WebhookOptions } from '../adapters/node-webhook.ts';
export { cursorFile } from '../backfill/cursor-file.ts';
export { type Drain, type DrainOptions, startDrain } from '../watch/drain.ts';
export { type Journal, openJournal } from '../watch/journal.ts';
export { startWatch, type Watch, type WatchOptions } from '../watch/watch.ts';
