/** `@elfin/edge/workerd`: what only a Cloudflare Worker has. */
export { createDurableStore, StoreObject } from '../store/durable.ts';
