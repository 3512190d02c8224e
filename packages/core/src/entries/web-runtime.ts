/** `@elfin/core/web-runtime`: onnxruntime-web in the calling thread, for Node and for those who bring a worker of their own. */
export { createCanvasCodec } from '../image/codecs/canvas.ts';
export { createWebRuntime, type WebRuntimeOptions } from '../runtime/web/web.ts';
