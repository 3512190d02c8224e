/** `@elfin/core/workerd`: the network and the codecs inside a Cloudflare Worker. */

export { createJsquashCodec, type JsquashModules, type JsquashOptions } from '../image/codecs/jsquash.ts';
export * from '../index.ts';
export { createWorkerdRuntime, unshareMemory, type WorkerdRuntimeOptions } from '../runtime/workerd/workerd.ts';
