export { createWebhook, type WebhookOptions } from './adapters/node-webhook.ts';
export { cursorFile } from './cursor-file.ts';
export { type Drain, type DrainOptions, startDrain } from './drain.ts';
export { type Journal, openJournal } from './journal.ts';
export { startWatch, type Watch, type WatchOptions } from './watch.ts';
