export { createDurableStore, StoreObject } from '../durable.ts';
