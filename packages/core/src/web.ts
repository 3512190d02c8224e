export * from './index.ts';
export { createWebRuntime, type WebRuntimeOptions } from './runtime/web.ts';
