export { probeConditionalWrites } from './conditional-writes.ts';
export type * from './object-store.ts';
