/** `@elfin/core/client`: for pages and programs that ask for transform URLs. */
export { type AwaitOptions, awaitRestored, swapRestored } from '../web/page/client.ts';
